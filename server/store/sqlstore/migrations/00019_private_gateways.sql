-- Private gateways, and the tokens of their connectors.

-- +goose Up
CREATE TABLE private_gateways (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    path        TEXT COLLATE "C" NOT NULL UNIQUE,
    domain      TEXT COLLATE "C" UNIQUE, -- NULL for none
    listen      TEXT    NOT NULL, -- JSON array of addresses
    ports       TEXT    NOT NULL, -- JSON array of rules
    hold        BIGINT  NOT NULL, -- seconds
    conflict    TEXT COLLATE "C" NOT NULL,
    insecure    BOOLEAN NOT NULL,
    consumers   TEXT    NOT NULL, -- JSON array of networks
    UNIQUE (account_id, name)
);
CREATE INDEX private_gateways_by_account ON private_gateways (account_id, id);

CREATE TABLE private_gateway_tokens (
    id                TEXT COLLATE "C" PRIMARY KEY,
    account_id        TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description       TEXT COLLATE "C" NOT NULL,
    metadata          TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    gateway_id        TEXT COLLATE "C" NOT NULL REFERENCES private_gateways (id),
    verifier          BYTEA  NOT NULL, -- SHA-256 of the secret half
    rotated_at        BIGINT,
    previous_verifier BYTEA,
    previous_until    BIGINT,
    ports             TEXT   NOT NULL, -- JSON array of rules
    targets           TEXT   NOT NULL, -- JSON array of rules
    expires_at        BIGINT
);
CREATE INDEX private_gateway_tokens_by_account ON private_gateway_tokens (account_id, id);
CREATE INDEX private_gateway_tokens_by_gateway ON private_gateway_tokens (gateway_id);
