-- +goose Up
CREATE TABLE vaults (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    created_by  TEXT COLLATE "C" NOT NULL,
    updated_by  TEXT COLLATE "C" NOT NULL,
    UNIQUE (account_id, name)
);
CREATE INDEX vaults_by_account ON vaults (account_id, id);

CREATE TABLE vault_secrets (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    vault_id    TEXT COLLATE "C" NOT NULL REFERENCES vaults (id),
    name        TEXT COLLATE "C" NOT NULL,
    value       BYTEA NOT NULL, -- sealed
    created_by  TEXT COLLATE "C" NOT NULL,
    updated_by  TEXT COLLATE "C" NOT NULL,
    UNIQUE (vault_id, name)
);
CREATE INDEX vault_secrets_by_account ON vault_secrets (account_id, id);
