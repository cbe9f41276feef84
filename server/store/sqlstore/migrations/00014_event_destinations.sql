-- +goose Up
CREATE TABLE event_destinations (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    format      TEXT COLLATE "C" NOT NULL,
    target      TEXT NOT NULL, -- JSON, without the secret
    secret      BYTEA NOT NULL -- sealed; empty for none
);
CREATE INDEX event_destinations_by_account ON event_destinations (account_id, id);

CREATE TABLE event_subscriptions (
    id           TEXT COLLATE "C" PRIMARY KEY,
    account_id   TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description  TEXT COLLATE "C" NOT NULL,
    metadata     TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    sources      TEXT COLLATE "C" NOT NULL, -- JSON, a list of types
    destinations TEXT COLLATE "C" NOT NULL  -- JSON, a list of ids
);
CREATE INDEX event_subscriptions_by_account ON event_subscriptions (account_id, id);
