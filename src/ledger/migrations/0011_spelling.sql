-- Whose decision it is, in the spelling in which people are compared; user_id is what was written. NULL until the service has
-- filled it in, which it does when it opens the ledger.
ALTER TABLE decision ADD COLUMN person TEXT;
CREATE INDEX decision_by_person ON decision (tenant_id, person, id);
CREATE INDEX decision_by_purchase_of_person ON decision (tenant_id, person, currency, amount_minor, expense_date);
DROP INDEX decision_by_user;
DROP INDEX decision_by_purchase;
CREATE INDEX decision_to_spell ON decision (tenant_id) WHERE person IS NULL;

-- How much of used_minor is counted in the row of the one spelling of person and trip. Rows of another spelling come from
-- earlier versions, which still read and write them; what they add is carried over when the ledger is opened.
ALTER TABLE cap_usage ADD COLUMN carried_minor BIGINT;
CREATE INDEX cap_usage_to_carry ON cap_usage (tenant_id) WHERE carried_minor IS NULL OR carried_minor <> used_minor;

-- 1 once person and merchant are in their one spelling.
ALTER TABLE merchant_usage ADD COLUMN spelled BIGINT;
CREATE INDEX merchant_usage_to_spell ON merchant_usage (tenant_id) WHERE spelled IS NULL;
