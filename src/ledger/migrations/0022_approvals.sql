-- Approvals that others have to follow: of several people who approve an expense in a row, all but the last, which is its
-- resolution.
CREATE TABLE approval (
    id            TEXT   NOT NULL PRIMARY KEY,
    decision_id   TEXT   NOT NULL REFERENCES decision (id),
    tenant_id     TEXT   NOT NULL,
    -- Its place among those of the decision, from 0.
    ordinal       BIGINT NOT NULL,
    document      TEXT   NOT NULL,
    UNIQUE (decision_id, ordinal)
);
-- How many of them a decision has. NULL is none.
ALTER TABLE decision ADD COLUMN n_approvals BIGINT;
