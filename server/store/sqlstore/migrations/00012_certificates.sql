-- +goose Up
CREATE TABLE tls_certificates (
    id                  TEXT COLLATE "C" PRIMARY KEY,
    account_id          TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description         TEXT COLLATE "C" NOT NULL,
    metadata            TEXT COLLATE "C" NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    chain               TEXT COLLATE "C" NOT NULL,
    private_key         BYTEA  NOT NULL, -- sealed
    subject_common_name TEXT COLLATE "C" NOT NULL,
    serial_number       TEXT COLLATE "C" NOT NULL,
    not_before          BIGINT NOT NULL,
    not_after           BIGINT NOT NULL,
    issued_at           BIGINT
);
CREATE INDEX tls_certificates_by_account ON tls_certificates (account_id, id);

CREATE TABLE certificate_authorities (
    id                  TEXT COLLATE "C" PRIMARY KEY,
    account_id          TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description         TEXT COLLATE "C" NOT NULL,
    metadata            TEXT COLLATE "C" NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    certificate         TEXT COLLATE "C" NOT NULL,
    subject_common_name TEXT COLLATE "C" NOT NULL,
    not_before          BIGINT NOT NULL,
    not_after           BIGINT NOT NULL
);
CREATE INDEX certificate_authorities_by_account ON certificate_authorities (account_id, id);
