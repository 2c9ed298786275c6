-- Answers kept for callers that may ask again with the same Idempotency-Key. The id is a hash of the
-- caller, the route and the key; without a status the answer is still being made, by whom the rest
-- of the row tells.
CREATE TABLE answers (
    id TEXT PRIMARY KEY,
    body_digest TEXT NOT NULL,
    owner TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born TEXT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL,
    seen_s DOUBLE PRECISION NOT NULL,
    status INTEGER,
    headers TEXT NOT NULL DEFAULT '[]',
    body TEXT NOT NULL DEFAULT '',
    num_bytes BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX answers_by_time ON answers (created_s);
