-- Certificates that the server gets by itself. account_id is '' for what is the server's
-- own, so it refers to no account; jobs of an account go with what they are for.

-- +goose Up
CREATE TABLE certificate_jobs (
    id             TEXT COLLATE "C" PRIMARY KEY,
    account_id     TEXT COLLATE "C" NOT NULL,
    description    TEXT COLLATE "C" NOT NULL,
    metadata       TEXT COLLATE "C" NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    kind           TEXT COLLATE "C" NOT NULL,
    subject_id     TEXT COLLATE "C" NOT NULL,
    name           TEXT COLLATE "C" NOT NULL,
    key_type       TEXT COLLATE "C" NOT NULL,
    certificate_id TEXT COLLATE "C" NOT NULL,
    chain          TEXT COLLATE "C" NOT NULL,
    private_key    BYTEA  NOT NULL DEFAULT '', -- sealed
    directory      TEXT COLLATE "C" NOT NULL,
    not_before     BIGINT,
    not_after      BIGINT,
    renews_at      BIGINT,
    check_at       BIGINT,
    due_at         BIGINT NOT NULL,
    started_at     BIGINT,
    attempts       BIGINT NOT NULL,
    error_code     TEXT COLLATE "C" NOT NULL,
    message        TEXT COLLATE "C" NOT NULL,
    retries_at     BIGINT,
    leased_by      TEXT COLLATE "C" NOT NULL,
    leased_until   BIGINT,
    used_at        BIGINT,
    UNIQUE (kind, name)
);
CREATE INDEX certificate_jobs_by_due ON certificate_jobs (due_at);
CREATE INDEX certificate_jobs_by_subject ON certificate_jobs (subject_id);
CREATE INDEX certificate_jobs_by_certificate ON certificate_jobs (certificate_id);

CREATE TABLE acme_accounts (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    directory   TEXT COLLATE "C" NOT NULL,
    email       TEXT COLLATE "C" NOT NULL,
    eab_key_id  TEXT COLLATE "C" NOT NULL,
    location    TEXT COLLATE "C" NOT NULL,
    private_key BYTEA  NOT NULL, -- sealed
    UNIQUE (directory, email, eab_key_id)
);

CREATE TABLE acme_challenges (
    id          TEXT COLLATE "C" PRIMARY KEY,
    account_id  TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    token       TEXT COLLATE "C" NOT NULL,
    value       TEXT COLLATE "C" NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX acme_challenges_by_expiry ON acme_challenges (expires_at);

INSERT INTO certificate_jobs (id, account_id, description, metadata, created_at, updated_at, kind, subject_id, name, key_type,
        certificate_id, chain, directory, due_at, started_at, attempts, error_code, message, leased_by)
    SELECT 'cj_' || substr(id, 4), account_id, '', '', updated_at, updated_at, 'domain', id, domain, policy_key_type,
        '', '', '', policy_since, policy_since, 0, '', '', ''
    FROM reserved_domains WHERE policy_authority <> '' AND policy_since IS NOT NULL;
INSERT INTO certificate_jobs (id, account_id, description, metadata, created_at, updated_at, kind, subject_id, name, key_type,
        certificate_id, chain, directory, due_at, started_at, attempts, error_code, message, leased_by)
    SELECT 'cj_' || substr(id, 6), account_id, '', '', updated_at, updated_at, 'ingress', id, domain, policy_key_type,
        '', '', '', policy_since, policy_since, 0, '', '', ''
    FROM agent_ingresses WHERE policy_authority <> '' AND policy_since IS NOT NULL;
