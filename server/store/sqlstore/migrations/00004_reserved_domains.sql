-- tree_key is that of names, for the domain: who holds a domain holds all below it.

-- +goose Up
CREATE TABLE reserved_domains (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description      TEXT COLLATE "C" NOT NULL,
    metadata         TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    domain           TEXT COLLATE "C" NOT NULL UNIQUE,
    tree_key         TEXT COLLATE "C" NOT NULL,
    certificate_id   TEXT COLLATE "C",
    policy_authority TEXT COLLATE "C" NOT NULL, -- '' for no policy
    policy_key_type  TEXT COLLATE "C" NOT NULL,
    policy_since     BIGINT,
    cname_target     TEXT COLLATE "C" NOT NULL,
    acme_target      TEXT COLLATE "C" NOT NULL,
    resolves_to      TEXT   NOT NULL -- JSON array of texts
);
CREATE INDEX reserved_domains_by_account ON reserved_domains (account_id, id);
CREATE INDEX reserved_domains_by_tree ON reserved_domains (tree_key);
CREATE INDEX reserved_domains_by_certificate ON reserved_domains (certificate_id);
