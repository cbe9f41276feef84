-- Names and ports are claimed with SSH credentials, too, so credential_id refers to one
-- of two tables, and what an SSH credential has claimed may outlive it. Neither database
-- can say so in a constraint that both understand; the tables are made again without one.

-- +goose Up
CREATE TABLE claimed_names (
    host          TEXT COLLATE "C" PRIMARY KEY,
    tree_key      TEXT COLLATE "C" NOT NULL,
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    credential_id TEXT COLLATE "C" NOT NULL,
    assigned      BOOLEAN NOT NULL,
    endpoint      TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    slot          BIGINT  NOT NULL,
    installation  TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    last_used_at  BIGINT  NOT NULL
);
INSERT INTO claimed_names (host, tree_key, account_id, credential_id, assigned, endpoint, kind, slot, installation, created_at, last_used_at)
    SELECT host, tree_key, account_id, credential_id, assigned, endpoint, kind, slot, installation, created_at, last_used_at FROM names;
DROP TABLE names;
ALTER TABLE claimed_names RENAME TO names;
CREATE INDEX names_by_tree ON names (tree_key);
CREATE INDEX names_by_series ON names (credential_id, endpoint, kind, slot);
CREATE INDEX names_by_use ON names (last_used_at);

CREATE TABLE claimed_ports (
    port          BIGINT PRIMARY KEY,
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    credential_id TEXT COLLATE "C" NOT NULL,
    assigned      BOOLEAN NOT NULL,
    endpoint      TEXT    NOT NULL,
    installation  TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    last_used_at  BIGINT  NOT NULL
);
INSERT INTO claimed_ports (port, account_id, credential_id, assigned, endpoint, installation, created_at, last_used_at)
    SELECT port, account_id, credential_id, assigned, endpoint, installation, created_at, last_used_at FROM ports;
DROP TABLE ports;
ALTER TABLE claimed_ports RENAME TO ports;
