-- When the process was born, as its system tells: a later one may have the same id.
ALTER TABLE jobs ADD COLUMN born TEXT NOT NULL DEFAULT '';
