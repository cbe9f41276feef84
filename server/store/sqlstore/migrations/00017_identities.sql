-- SSH public keys that may bind endpoints, and who signs in at endpoints.

-- +goose Up
CREATE TABLE ssh_credentials (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    owner_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    public_key  TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL UNIQUE, -- SHA256:…, as ssh-keygen prints it
    acl         TEXT   NOT NULL -- JSON array of rules
);
CREATE INDEX ssh_credentials_by_account ON ssh_credentials (account_id, id);
CREATE INDEX ssh_credentials_by_owner ON ssh_credentials (owner_id);

CREATE TABLE application_users (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description      TEXT COLLATE "C" NOT NULL,
    metadata         TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    provider         TEXT COLLATE "C" NOT NULL,
    provider_url     TEXT COLLATE "C" NOT NULL,
    provider_user_id TEXT COLLATE "C" NOT NULL,
    username         TEXT COLLATE "C" NOT NULL,
    email            TEXT COLLATE "C" NOT NULL,
    name             TEXT COLLATE "C" NOT NULL,
    last_active      BIGINT NOT NULL,
    last_login       BIGINT NOT NULL
);
CREATE INDEX application_users_by_account ON application_users (account_id, id);
CREATE UNIQUE INDEX application_users_by_provider ON application_users (account_id, provider_url, provider_user_id);

CREATE TABLE application_sessions (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    user_id     TEXT COLLATE "C" NOT NULL REFERENCES application_users (id),
    public_url  TEXT COLLATE "C" NOT NULL,
    endpoint_id TEXT COLLATE "C" NOT NULL,
    browser     TEXT   NOT NULL, -- JSON object
    last_active BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX application_sessions_by_account ON application_sessions (account_id, id);
CREATE INDEX application_sessions_by_user ON application_sessions (user_id);
