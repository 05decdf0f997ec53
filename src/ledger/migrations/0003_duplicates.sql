-- What a decision's duplicates are looked up by: amounts as BIGINT minor units of their own currency, dates as TEXT.
-- Decisions that were made before have none of it and are no one's duplicates.
ALTER TABLE decision ADD COLUMN amount_minor BIGINT;
ALTER TABLE decision ADD COLUMN currency TEXT;
ALTER TABLE decision ADD COLUMN expense_date TEXT;
CREATE INDEX decision_by_purchase ON decision (tenant_id, user_id, currency, amount_minor, expense_date);
