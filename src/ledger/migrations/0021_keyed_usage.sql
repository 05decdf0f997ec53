-- What is used by a department, cost centre, project or recipient, whoever handed the expenses in, by day. Only expenses that
-- state one of these facts are counted here. The key is a hash of the name with the salt of the tenant.
CREATE TABLE keyed_usage (
    tenant_id     TEXT   NOT NULL,
    fact          TEXT   NOT NULL,
    key_hash      TEXT   NOT NULL,
    category      TEXT   NOT NULL,
    currency      TEXT   NOT NULL,
    expense_date  TEXT   NOT NULL,
    used_minor    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, fact, key_hash, category, currency, expense_date)
);

-- The keys under which a decision holds its share, to find them again when it gives some of it back. A share is taken before the
-- decision is inserted, so it is not referenced.
CREATE TABLE share_key (
    tenant_id     TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL,
    fact          TEXT   NOT NULL,
    key_hash      TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, decision_id, fact)
);

-- Random bytes that keep names from being guessed from their hashes in a copy of keyed_usage alone.
CREATE TABLE key_salt (
    tenant_id     TEXT   NOT NULL PRIMARY KEY,
    salt          TEXT   NOT NULL
);
