-- Two filters that are often set together, and of which either alone may leave most of a ledger.
CREATE INDEX decision_by_outcome_and_category ON decision (tenant_id, outcome, category, id);
