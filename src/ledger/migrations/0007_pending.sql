-- What waits for a person, over all tenants: however long the ledger grows, counting it reads no more than what is open.
CREATE INDEX decision_by_open_role ON decision (pending_role) WHERE pending_role IS NOT NULL;
