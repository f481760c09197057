-- How far the first judgement of all instances has come, in the order of their ids; NULL once it is over.
ALTER TABLE consumers ADD COLUMN judged_to UUID;
