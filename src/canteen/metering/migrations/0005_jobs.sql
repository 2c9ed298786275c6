-- Long work: what was asked for, how it stands, and what came of it. JSON where it is a mapping.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    wanted TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    pid INTEGER NOT NULL DEFAULT 0,
    created_s DOUBLE PRECISION NOT NULL,
    started_s DOUBLE PRECISION,
    seen_s DOUBLE PRECISION,
    ended_s DOUBLE PRECISION,
    error TEXT NOT NULL DEFAULT '',
    estimate TEXT NOT NULL DEFAULT '{}',
    result TEXT NOT NULL DEFAULT '{}',
    receipt_ids TEXT NOT NULL DEFAULT '[]'
);
-- Two jobs must not make one model at once.
CREATE UNIQUE INDEX jobs_at_work ON jobs (name) WHERE state = 'running' OR state = 'queued';
