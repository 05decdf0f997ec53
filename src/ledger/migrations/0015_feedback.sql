-- What people said of a decision. Rows are only added: the latest of one author under one name holds.
CREATE TABLE feedback (
    id            TEXT   NOT NULL PRIMARY KEY,
    decision_id   TEXT   NOT NULL REFERENCES decision (id),
    tenant_id     TEXT   NOT NULL,
    -- Who said it, in the spelling in which people are compared.
    author        TEXT   NOT NULL,
    document      TEXT   NOT NULL
);
CREATE INDEX feedback_by_decision ON feedback (decision_id, id);
CREATE INDEX feedback_by_author ON feedback (tenant_id, author, decision_id, id);
