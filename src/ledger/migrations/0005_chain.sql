-- One row per record of a tenant, in the order they were made. Its hash covers the record and the hash before it, so no
-- record can be changed, taken out or slipped in unseen. Records that were made before have no row.
CREATE TABLE chain (
    tenant_id     TEXT   NOT NULL,
    seq           BIGINT NOT NULL,
    record_id     TEXT   NOT NULL UNIQUE,
    -- What personal texts were hashed with; NULL once they are erased.
    salt          TEXT,
    hash          TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, seq)
);
-- Where each tenant's chain ends; who writes for a tenant holds its row.
CREATE TABLE chain_head (
    tenant_id     TEXT   NOT NULL PRIMARY KEY,
    seq           BIGINT NOT NULL,
    hash          TEXT   NOT NULL
);
-- Written and emptied to find out whether the database takes writes.
CREATE TABLE probe (
    filler        TEXT   NOT NULL
);
-- Expired keys are cleared away tenant by tenant.
DROP INDEX idempotency_by_expiry;
CREATE INDEX idempotency_by_expiry ON idempotency (tenant_id, expires_at);
