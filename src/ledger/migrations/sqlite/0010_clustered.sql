-- The same tables, each in the order of its key, which only SQLite knows how to keep: a row is one entry of one tree, not a
-- row in one and the way to it in another.
CREATE TABLE clustered (
    tenant_id     TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    category      TEXT   NOT NULL,
    currency      TEXT   NOT NULL,
    time_window   TEXT   NOT NULL,
    window_key    TEXT   NOT NULL,
    used_minor    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, category, currency, time_window, window_key)
) WITHOUT ROWID;
INSERT INTO clustered SELECT tenant_id, user_id, category, currency, time_window, window_key, used_minor FROM cap_usage;
DROP TABLE cap_usage;
ALTER TABLE clustered RENAME TO cap_usage;

CREATE TABLE clustered (
    tenant_id     TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    category      TEXT   NOT NULL,
    currency      TEXT   NOT NULL,
    merchant      TEXT   NOT NULL,
    expense_date  TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL,
    amount_minor  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, category, currency, merchant, expense_date, decision_id)
) WITHOUT ROWID;
INSERT INTO clustered SELECT tenant_id, user_id, category, currency, merchant, expense_date, decision_id, amount_minor
    FROM merchant_usage;
DROP TABLE merchant_usage;
ALTER TABLE clustered RENAME TO merchant_usage;

CREATE TABLE clustered (
    tenant_id     TEXT   NOT NULL,
    seq           BIGINT NOT NULL,
    record_id     TEXT   NOT NULL UNIQUE,
    salt          TEXT,
    hash          TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, seq)
) WITHOUT ROWID;
INSERT INTO clustered SELECT tenant_id, seq, record_id, salt, hash FROM chain;
DROP TABLE chain;
ALTER TABLE clustered RENAME TO chain;

CREATE TABLE clustered (
    tenant_id     TEXT   NOT NULL,
    type          TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL REFERENCES decision (id),
    PRIMARY KEY (tenant_id, type, decision_id)
) WITHOUT ROWID;
INSERT INTO clustered SELECT tenant_id, type, decision_id FROM failed_validation;
DROP TABLE failed_validation;
ALTER TABLE clustered RENAME TO failed_validation;

CREATE TABLE clustered (
    tenant_id     TEXT   NOT NULL,
    idem_key      TEXT   NOT NULL,
    fingerprint   TEXT   NOT NULL,
    decision_id   TEXT,
    leased_until  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, idem_key)
) WITHOUT ROWID;
INSERT INTO clustered SELECT tenant_id, idem_key, fingerprint, decision_id, leased_until, expires_at FROM idempotency;
DROP TABLE idempotency;
ALTER TABLE clustered RENAME TO idempotency;
CREATE INDEX idempotency_by_expiry ON idempotency (tenant_id, expires_at);
