-- +goose Up
CREATE TABLE ssh_certificate_authorities (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description      TEXT COLLATE "C" NOT NULL,
    metadata         TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    key_type         TEXT COLLATE "C" NOT NULL,
    public_key       TEXT COLLATE "C" NOT NULL,
    private_key      BYTEA  NOT NULL -- sealed
);
CREATE INDEX ssh_certificate_authorities_by_account ON ssh_certificate_authorities (account_id, id);

CREATE TABLE ssh_host_certificates (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description      TEXT COLLATE "C" NOT NULL,
    metadata         TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    authority_id     TEXT COLLATE "C" NOT NULL REFERENCES ssh_certificate_authorities (id),
    public_key       TEXT COLLATE "C" NOT NULL,
    key_type         TEXT COLLATE "C" NOT NULL,
    principals       TEXT   NOT NULL, -- JSON array of texts
    critical_options TEXT   NOT NULL, -- JSON object of texts
    extensions       TEXT   NOT NULL, -- JSON object of texts
    valid_after      BIGINT NOT NULL,
    valid_until      BIGINT NOT NULL,
    certificate      TEXT COLLATE "C" NOT NULL
);
CREATE INDEX ssh_host_certificates_by_account ON ssh_host_certificates (account_id, id);
CREATE INDEX ssh_host_certificates_by_authority ON ssh_host_certificates (authority_id);

CREATE TABLE ssh_user_certificates (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description      TEXT COLLATE "C" NOT NULL,
    metadata         TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    authority_id     TEXT COLLATE "C" NOT NULL REFERENCES ssh_certificate_authorities (id),
    public_key       TEXT COLLATE "C" NOT NULL,
    key_type         TEXT COLLATE "C" NOT NULL,
    principals       TEXT   NOT NULL, -- JSON array of texts
    critical_options TEXT   NOT NULL, -- JSON object of texts
    extensions       TEXT   NOT NULL, -- JSON object of texts
    valid_after      BIGINT NOT NULL,
    valid_until      BIGINT NOT NULL,
    certificate      TEXT COLLATE "C" NOT NULL
);
CREATE INDEX ssh_user_certificates_by_account ON ssh_user_certificates (account_id, id);
CREATE INDEX ssh_user_certificates_by_authority ON ssh_user_certificates (authority_id);
