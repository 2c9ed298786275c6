-- The template that a task made its prompts with.
ALTER TABLE receipts ADD COLUMN prompt_version TEXT NOT NULL DEFAULT '';
