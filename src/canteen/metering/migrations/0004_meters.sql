-- What a meter's count is of, and the grade of the count.
ALTER TABLE rates ADD COLUMN boundary TEXT NOT NULL DEFAULT 'it';
ALTER TABLE rates ADD COLUMN grade TEXT NOT NULL DEFAULT 'C';
UPDATE rates SET boundary = 'cpu', grade = 'A' WHERE meter LIKE 'RAPL%' OR meter LIKE 'perf%';
UPDATE rates SET grade = 'D' WHERE meter LIKE 'declared%';
-- Empty where an earlier release did not say.
ALTER TABLE runs ADD COLUMN boundary TEXT NOT NULL DEFAULT '';
-- Whose idle energy a receipt shares.
ALTER TABLE receipts ADD COLUMN run_id TEXT NOT NULL DEFAULT '';
