-- Who may call. JSON where it is a list or a mapping. A key that is revoked stays: receipts name it.
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    models TEXT NOT NULL,
    limits TEXT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL,
    expires_s DOUBLE PRECISION,
    revoked_s DOUBLE PRECISION
);
-- The SHA-256 of what is presented; a key that is being rotated has two.
CREATE TABLE secrets (
    digest TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    created_s DOUBLE PRECISION NOT NULL,
    expires_s DOUBLE PRECISION
);
-- What a key has had of a unit in a period, and what is held for its requests under way. Billionths
-- of dollars, watt-hours and millilitres; whole tokens and requests.
CREATE TABLE spent (
    key_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    per TEXT NOT NULL,
    begins_s BIGINT NOT NULL,
    used BIGINT NOT NULL,
    held BIGINT NOT NULL,
    PRIMARY KEY (key_id, unit, per, begins_s)
);
-- Gateways that hold something for their requests.
CREATE TABLE gateways (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born TEXT NOT NULL,
    seen_s DOUBLE PRECISION NOT NULL
);
CREATE TABLE holds (
    id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    per TEXT NOT NULL,
    begins_s BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    gateway_id TEXT NOT NULL,
    PRIMARY KEY (id, unit, per)
);
CREATE INDEX holds_by_gateway ON holds (gateway_id);
