-- Tables of resources begin with the same columns. Filters of the API compare them, so
-- texts are COLLATE "C" here too: they sort as bytes on both databases.

-- +goose Up
CREATE TABLE ip_policies (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX ip_policies_by_account ON ip_policies (account_id, id);
