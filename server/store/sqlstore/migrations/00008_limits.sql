-- What accounts and credentials may use, where that is not the server's own; NULL is
-- the server's own, 0 no limit.

-- +goose Up
CREATE TABLE limits (
    subject_id          TEXT COLLATE "C" PRIMARY KEY, -- of an account or a credential
    account_id          TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    sessions            BIGINT,
    endpoints           BIGINT,
    connections         BIGINT,
    requests_per_minute BIGINT,
    bytes_per_second    BIGINT
);
