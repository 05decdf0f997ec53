-- The purchase that took over the share of a plan; NULL if none did, and for every decision that is no plan.
ALTER TABLE decision ADD COLUMN fulfilled_by TEXT;
