-- Requests that are answered later. JSON where it is a list or a mapping; times are seconds since
-- 1970. Who answers one is in `owner` and what follows it. `number` is a line of a batch, 0 for none;
-- those of a lower `turn` go first.
CREATE TABLE deferred (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL,
    deadline_s DOUBLE PRECISION NOT NULL,
    caller_id TEXT NOT NULL,
    caller TEXT NOT NULL,
    message_id TEXT NOT NULL,
    headers TEXT NOT NULL,
    reply TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    custom_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    model TEXT NOT NULL,
    turn INTEGER NOT NULL,
    state TEXT NOT NULL,
    not_before_s DOUBLE PRECISION NOT NULL,
    started_s DOUBLE PRECISION,
    ended_s DOUBLE PRECISION,
    attempts INTEGER NOT NULL,
    wanted TEXT NOT NULL,
    status INTEGER,
    answer_headers TEXT NOT NULL,
    answer TEXT NOT NULL,
    error TEXT NOT NULL,
    owner TEXT NOT NULL DEFAULT '',
    host TEXT NOT NULL DEFAULT '',
    pid INTEGER NOT NULL DEFAULT 0,
    born TEXT NOT NULL DEFAULT '',
    seen_s DOUBLE PRECISION
);
-- A message is one request, however often it comes.
CREATE UNIQUE INDEX deferred_messages ON deferred (caller_id, message_id) WHERE message_id <> '';
CREATE INDEX deferred_waiting ON deferred (turn, created_s) WHERE state = 'queued';
CREATE INDEX deferred_waiting_of ON deferred (caller_id) WHERE state = 'queued';
CREATE INDEX deferred_running ON deferred (owner) WHERE state = 'running';
CREATE INDEX deferred_by_time ON deferred (created_s);
CREATE INDEX deferred_by_batch ON deferred (batch_id) WHERE batch_id <> '';
-- What is to be told to others, written with what it tells of.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    headers TEXT NOT NULL,
    body TEXT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL,
    due_s DOUBLE PRECISION NOT NULL,
    attempts INTEGER NOT NULL,
    sent_s DOUBLE PRECISION,
    given_up_s DOUBLE PRECISION,
    error TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_s) WHERE sent_s IS NULL AND given_up_s IS NULL;
CREATE INDEX outbox_by_time ON outbox (created_s);
-- Texts that callers leave to have read, and what is made of them.
CREATE TABLE files (
    id TEXT PRIMARY KEY,
    caller_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    num_bytes BIGINT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL,
    content TEXT NOT NULL
);
CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    caller_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    input_file_id TEXT NOT NULL,
    completion_window TEXT NOT NULL,
    metadata TEXT NOT NULL,
    status TEXT NOT NULL,
    errors TEXT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL,
    expires_s DOUBLE PRECISION NOT NULL,
    cancelling_s DOUBLE PRECISION,
    ended_s DOUBLE PRECISION,
    output_file_id TEXT NOT NULL,
    error_file_id TEXT NOT NULL,
    num_lines BIGINT NOT NULL,
    num_left BIGINT NOT NULL,
    num_completed BIGINT NOT NULL
);
