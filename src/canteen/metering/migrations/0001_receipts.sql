-- What a meter's joule and a device's second meant, as JSON; the same for all receipts of a run.
CREATE TABLE rates (
    id TEXT PRIMARY KEY,
    rates TEXT NOT NULL,
    meter TEXT NOT NULL
);
-- A run is one life of a gateway. open_uj is what its meter read for requests without a receipt.
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_s DOUBLE PRECISION NOT NULL,
    seen_s DOUBLE PRECISION NOT NULL,
    is_over INTEGER NOT NULL,
    open_uj BIGINT NOT NULL
);
-- What the accounts of a run were booked in an hour, and what its meter counted in it.
CREATE TABLE accounts (
    run_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    requests BIGINT NOT NULL,
    train BIGINT NOT NULL,
    load BIGINT NOT NULL,
    idle BIGINT NOT NULL,
    unattributed BIGINT NOT NULL,
    meter BIGINT NOT NULL,
    PRIMARY KEY (run_id, hour)
);
CREATE TABLE receipts (
    id TEXT PRIMARY KEY,
    rates_id TEXT NOT NULL,
    ended_s DOUBLE PRECISION NOT NULL,
    hour INTEGER NOT NULL,
    model TEXT NOT NULL,
    digest TEXT NOT NULL,
    engine TEXT NOT NULL,
    caller_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    phase TEXT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    queue_s DOUBLE PRECISION NOT NULL,
    prefill_s DOUBLE PRECISION NOT NULL,
    decode_s DOUBLE PRECISION NOT NULL,
    prefill_uj BIGINT NOT NULL,
    decode_uj BIGINT NOT NULL,
    prefill_us BIGINT NOT NULL,
    decode_us BIGINT NOT NULL,
    idle_share_uj BIGINT NOT NULL
);
CREATE INDEX receipts_by_time ON receipts (ended_s);
CREATE INDEX receipts_by_conversation ON receipts (conversation_id);
