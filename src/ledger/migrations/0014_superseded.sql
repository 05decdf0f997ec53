-- The decision by which this one was superseded, if any: the model did not answer, and the expense was decided anew.
ALTER TABLE decision ADD COLUMN superseded_by TEXT;
