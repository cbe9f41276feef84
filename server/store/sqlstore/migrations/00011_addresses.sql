-- What accounts reserve besides domains, and who may come from where.

-- +goose Up
CREATE TABLE agent_ingresses (
    id               TEXT COLLATE "C" PRIMARY KEY,
    account_id       TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description      TEXT COLLATE "C" NOT NULL,
    metadata         TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    domain           TEXT COLLATE "C" NOT NULL UNIQUE,
    tree_key         TEXT COLLATE "C" NOT NULL,
    policy_authority TEXT COLLATE "C" NOT NULL, -- '' for no policy
    policy_key_type  TEXT COLLATE "C" NOT NULL,
    policy_since     BIGINT
);
CREATE INDEX agent_ingresses_by_account ON agent_ingresses (account_id, id);
CREATE INDEX agent_ingresses_by_tree ON agent_ingresses (tree_key);

CREATE TABLE reserved_addrs (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    host        TEXT COLLATE "C" NOT NULL,
    port        BIGINT NOT NULL UNIQUE,
    region      TEXT COLLATE "C" NOT NULL
);
CREATE INDEX reserved_addrs_by_account ON reserved_addrs (account_id, id);

CREATE TABLE ip_policy_rules (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    policy_id   TEXT COLLATE "C" NOT NULL REFERENCES ip_policies (id),
    cidr        TEXT COLLATE "C" NOT NULL,
    action      TEXT COLLATE "C" NOT NULL,
    UNIQUE (policy_id, cidr)
);
CREATE INDEX ip_policy_rules_by_account ON ip_policy_rules (account_id, id);

CREATE TABLE ip_restrictions (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    type        TEXT COLLATE "C" NOT NULL,
    enforced    BOOLEAN NOT NULL,
    policy_ids  TEXT    NOT NULL, -- JSON array of ids
    UNIQUE (account_id, type)
);
