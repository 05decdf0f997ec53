-- The people who handed an expense in for another person, in the spelling in which people are compared. The people who handed
-- in a superseded decision are in the rows of the newer one too. No row for the employee: decision.person has that.
CREATE TABLE submitter (
    tenant_id     TEXT   NOT NULL,
    person        TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL REFERENCES decision (id),
    PRIMARY KEY (tenant_id, person, decision_id)
);
CREATE INDEX submitter_by_decision ON submitter (tenant_id, decision_id);
