-- One index tells what waits for a person, over all tenants and of one. It holds no more than what is open, so a decision
-- that leaves nothing open is not written into it.
DROP INDEX decision_by_open_role;
DROP INDEX decision_by_pending;
CREATE INDEX decision_by_pending ON decision (tenant_id, pending_role, id) WHERE pending_role IS NOT NULL;
