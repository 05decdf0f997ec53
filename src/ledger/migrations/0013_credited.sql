-- What credits have taken off a purchase so far, in minor units of its own currency; at most its amount. NULL in rows of
-- versions that did not count it: there it is the sum of the credits that name the purchase.
ALTER TABLE decision ADD COLUMN credited_minor BIGINT;
