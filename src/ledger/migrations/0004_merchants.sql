-- What an employee has approved, or pending approval, at one merchant in one category, a row for each purchase. Kept
-- whether or not a policy asks for it today, so that a rule that comes later finds its history from here on.
CREATE TABLE merchant_usage (
    tenant_id     TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    category      TEXT   NOT NULL,
    currency      TEXT   NOT NULL,
    merchant      TEXT   NOT NULL,
    expense_date  TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL,
    amount_minor  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, category, currency, merchant, expense_date, decision_id)
);
