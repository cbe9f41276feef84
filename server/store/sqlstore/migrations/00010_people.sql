-- People sign in with an address, which is one person's of one account, and a password
-- (an Argon2id hash that says what it was made with) or a passkey. Whoever is invited
-- becomes a person by accepting.

-- +goose Up
ALTER TABLE users ADD COLUMN email TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN password TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN password_at BIGINT;
CREATE UNIQUE INDEX people_by_email ON users (email) WHERE email <> '' AND removed_at IS NULL;

CREATE TABLE passkeys (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    account_id         TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description        TEXT COLLATE "C" NOT NULL,
    metadata           TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    user_id            TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    credential_id      BYTEA NOT NULL UNIQUE,
    public_key         BYTEA NOT NULL,
    sign_count         BIGINT NOT NULL,
    clone_warning      BOOLEAN NOT NULL,
    flags              BIGINT NOT NULL, -- of the authenticator data (WebAuthn level 3, §6.1)
    transports         TEXT NOT NULL,   -- JSON array
    attachment         TEXT NOT NULL,
    aaguid             BYTEA NOT NULL,
    attestation_type   TEXT NOT NULL,
    attestation_format TEXT NOT NULL,
    attestation        TEXT NOT NULL,   -- JSON object
    used_at            BIGINT
);
CREATE INDEX passkeys_by_account ON passkeys (account_id, id);
CREATE INDEX passkeys_by_user ON passkeys (user_id);

CREATE TABLE invitations (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    email       TEXT COLLATE "C" NOT NULL,
    role        TEXT COLLATE "C" NOT NULL,
    inviter     TEXT COLLATE "C" NOT NULL, -- a user's id, '' for the server's operator
    verifier    BYTEA NOT NULL,            -- SHA-256 of the token's secret half
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    user_id     TEXT COLLATE "C" REFERENCES users (id) -- who it made
);
CREATE INDEX invitations_by_account ON invitations (account_id, id);
