-- Operators in Kubernetes clusters.

-- +goose Up
CREATE TABLE kubernetes_operators (
    id           TEXT COLLATE "C" PRIMARY KEY,
    account_id   TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description  TEXT COLLATE "C" NOT NULL,
    metadata     TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    created_by   TEXT COLLATE "C" NOT NULL,
    features     TEXT   NOT NULL, -- JSON array of texts
    region       TEXT COLLATE "C" NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    namespace    TEXT COLLATE "C" NOT NULL,
    version      TEXT COLLATE "C" NOT NULL,
    cluster_name TEXT COLLATE "C" NOT NULL,
    binding      TEXT   NOT NULL -- JSON object, or null
);
CREATE INDEX kubernetes_operators_by_account ON kubernetes_operators (account_id, id);
