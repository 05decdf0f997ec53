-- Types every database knows: amounts are BIGINT minor units, times and documents are TEXT.

-- One row per decision. The document is the decision itself; the columns beside it are what it is searched by.
CREATE TABLE decision (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant_id     TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    outcome       TEXT   NOT NULL,
    category      TEXT,
    trace_id      TEXT   NOT NULL,
    document      TEXT   NOT NULL
);
CREATE INDEX decision_by_tenant ON decision (tenant_id, id);
CREATE INDEX decision_by_user ON decision (tenant_id, user_id, id);
CREATE INDEX decision_by_outcome ON decision (tenant_id, outcome, id);
CREATE INDEX decision_by_category ON decision (tenant_id, category, id);

-- One row per decision and type of check that finally failed in it.
CREATE TABLE failed_validation (
    tenant_id     TEXT   NOT NULL,
    type          TEXT   NOT NULL,
    decision_id   TEXT   NOT NULL REFERENCES decision (id),
    PRIMARY KEY (tenant_id, type, decision_id)
);

-- What an employee has approved, or pending approval, in one window of one category. Kept for every window, whether or
-- not a policy caps it today, so that a cap that comes later finds its history.
CREATE TABLE cap_usage (
    tenant_id     TEXT   NOT NULL,
    user_id       TEXT   NOT NULL,
    category      TEXT   NOT NULL,
    currency      TEXT   NOT NULL,
    time_window   TEXT   NOT NULL,
    window_key    TEXT   NOT NULL,
    used_minor    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, category, currency, time_window, window_key)
);
