-- One row per idempotency key of a tenant, from its first request until it expires. Times are milliseconds since 1970.
CREATE TABLE idempotency (
    tenant_id     TEXT   NOT NULL,
    idem_key      TEXT   NOT NULL,
    -- What the body meant, as a hash: the same key with another meaning is a conflict.
    fingerprint   TEXT   NOT NULL,
    -- The decision, once there is one.
    decision_id   TEXT,
    -- Until when the request that holds the key may still come to a decision.
    leased_until  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, idem_key)
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
