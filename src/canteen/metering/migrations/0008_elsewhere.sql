-- The chain that was asked, where the model that answered is one of several.
ALTER TABLE receipts ADD COLUMN asked TEXT NOT NULL DEFAULT '';
-- Tokens of receipts that somebody else's service read and wrote. Their rates are a TokenRates.
CREATE TABLE elsewhere (
    receipt_id TEXT NOT NULL,
    upstream TEXT NOT NULL,
    token_rates_id TEXT NOT NULL,
    read_tokens BIGINT NOT NULL,
    cached_read_tokens BIGINT NOT NULL,
    written_tokens BIGINT NOT NULL,
    PRIMARY KEY (receipt_id, upstream, token_rates_id)
);
CREATE TABLE token_rates (
    id TEXT PRIMARY KEY,
    rates TEXT NOT NULL
);
