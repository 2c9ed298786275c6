-- The node that made a receipt; empty where an earlier release did not say.
ALTER TABLE receipts ADD COLUMN node TEXT NOT NULL DEFAULT '';
-- Parts of receipts that other nodes did, as their own receipts (told_id) tell. Energies are of
-- their meters, in microjoules; figures in J, L, g and USD, each with its bounds. A grade a figure.
CREATE TABLE told (
    receipt_id TEXT NOT NULL,
    part INTEGER NOT NULL,
    told_id TEXT NOT NULL,
    told_node TEXT NOT NULL,
    upstream TEXT NOT NULL,
    read_tokens BIGINT NOT NULL,
    cached_read_tokens BIGINT NOT NULL,
    written_tokens BIGINT NOT NULL,
    read_uj BIGINT NOT NULL,
    written_uj BIGINT NOT NULL,
    boundary TEXT NOT NULL,
    grade TEXT NOT NULL,
    grades TEXT NOT NULL,
    energy_central DOUBLE PRECISION NOT NULL,
    energy_low DOUBLE PRECISION NOT NULL,
    energy_high DOUBLE PRECISION NOT NULL,
    water_site_central DOUBLE PRECISION NOT NULL,
    water_site_low DOUBLE PRECISION NOT NULL,
    water_site_high DOUBLE PRECISION NOT NULL,
    water_source_central DOUBLE PRECISION NOT NULL,
    water_source_low DOUBLE PRECISION NOT NULL,
    water_source_high DOUBLE PRECISION NOT NULL,
    carbon_operational_central DOUBLE PRECISION NOT NULL,
    carbon_operational_low DOUBLE PRECISION NOT NULL,
    carbon_operational_high DOUBLE PRECISION NOT NULL,
    carbon_embodied_central DOUBLE PRECISION,
    carbon_embodied_low DOUBLE PRECISION,
    carbon_embodied_high DOUBLE PRECISION,
    cost_central DOUBLE PRECISION,
    cost_low DOUBLE PRECISION,
    cost_high DOUBLE PRECISION,
    PRIMARY KEY (receipt_id, part)
);
