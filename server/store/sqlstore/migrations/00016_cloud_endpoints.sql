-- Endpoints that are defined through the API. Those of agents are no rows.

-- +goose Up
CREATE TABLE cloud_endpoints (
    id             TEXT COLLATE "C" PRIMARY KEY,
    account_id     TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description    TEXT COLLATE "C" NOT NULL,
    metadata       TEXT COLLATE "C" NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    scheme         TEXT COLLATE "C" NOT NULL,
    host           TEXT COLLATE "C" NOT NULL,
    tree_key       TEXT COLLATE "C" NOT NULL,
    port           BIGINT NOT NULL, -- 0: the scheme's own
    binding        TEXT COLLATE "C" NOT NULL,
    traffic_policy TEXT NOT NULL,
    pooling        BOOLEAN NOT NULL,
    created_by     TEXT COLLATE "C" NOT NULL
);
CREATE INDEX cloud_endpoints_by_account ON cloud_endpoints (account_id, id);
CREATE INDEX cloud_endpoints_by_host ON cloud_endpoints (host);
