-- The schema is written for PostgreSQL; migrations.go replaces the few words that
-- SQLite has no use for. Ids and names are COLLATE "C": paging compares them as
-- bytes, and a locale would order them otherwise. Times are microseconds since 1970
-- in UTC.

-- +goose Up
CREATE TABLE accounts (
    id         TEXT COLLATE "C" PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id         TEXT COLLATE "C" PRIMARY KEY,
    account_id TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE credentials (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    owner_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    description TEXT   NOT NULL,
    metadata    TEXT   NOT NULL,
    acl         TEXT   NOT NULL, -- JSON array of rules
    verifier    BYTEA  NOT NULL, -- SHA-256 of the token's secret half
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT
);

CREATE TABLE api_keys (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    owner_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    description TEXT   NOT NULL,
    metadata    TEXT   NOT NULL,
    verifier    BYTEA  NOT NULL,
    created_at  BIGINT NOT NULL
);

-- tree_key is the name's labels from right to left, each with a dot behind it, and
-- without a wildcard's star: everything below a name is one range of keys.
CREATE TABLE names (
    host          TEXT COLLATE "C" PRIMARY KEY,
    tree_key      TEXT COLLATE "C" NOT NULL,
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    credential_id TEXT COLLATE "C" NOT NULL REFERENCES credentials (id),
    assigned      BOOLEAN NOT NULL,
    endpoint      TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    slot          BIGINT  NOT NULL,
    installation  TEXT    NOT NULL, -- a hash of who had it online last, '' for nobody known
    created_at    BIGINT  NOT NULL,
    last_used_at  BIGINT  NOT NULL
);
CREATE INDEX names_by_tree ON names (tree_key);
CREATE INDEX names_by_series ON names (credential_id, endpoint, kind, slot);
CREATE INDEX names_by_use ON names (last_used_at);

CREATE TABLE ports (
    port          BIGINT PRIMARY KEY,
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    credential_id TEXT COLLATE "C" NOT NULL REFERENCES credentials (id),
    assigned      BOOLEAN NOT NULL,
    endpoint      TEXT    NOT NULL,
    installation  TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    last_used_at  BIGINT  NOT NULL
);

CREATE TABLE settings (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE outbox (
    seq        BIGINT PRIMARY KEY,
    id         TEXT COLLATE "C" NOT NULL,
    type       TEXT   NOT NULL,
    account_id TEXT COLLATE "C" NOT NULL,
    subject    TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    object     BYTEA  NOT NULL
);
CREATE INDEX outbox_by_time ON outbox (at);

-- One row. A transaction that appends to the outbox locks it until its commit, so
-- numbers become visible in order and without gaps; a database sequence would let a
-- reader run past a number whose transaction commits later.
CREATE TABLE outbox_head (
    id  BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO outbox_head (id, seq) VALUES (1, 0);
