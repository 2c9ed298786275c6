-- What a run has written on receipts, so that one that is written again counts once.
ALTER TABLE runs ADD COLUMN receipted_uj BIGINT NOT NULL DEFAULT 0;
