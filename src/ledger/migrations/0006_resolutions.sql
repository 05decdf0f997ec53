-- How a person settled what a decision left open; one at most for each.
CREATE TABLE resolution (
    id            TEXT   NOT NULL PRIMARY KEY,
    decision_id   TEXT   NOT NULL UNIQUE REFERENCES decision (id),
    tenant_id     TEXT   NOT NULL,
    document      TEXT   NOT NULL
);
-- What has become of the expense: the outcome of its decision, and then what a person made of it. NULL is the outcome.
ALTER TABLE decision ADD COLUMN standing TEXT;
-- Who has to settle it at least; NULL when nothing is open.
ALTER TABLE decision ADD COLUMN pending_role TEXT;
-- What it takes of its windows, in minor units of its policy's currency. NULL is its amount, where it takes any.
ALTER TABLE decision ADD COLUMN share_minor BIGINT;
CREATE INDEX decision_by_pending ON decision (tenant_id, pending_role, id);
