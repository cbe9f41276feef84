-- Users are people and service users, told apart by their kind: keys and credentials of
-- both refer to one table. Those that exist are the ones that installations began with.

-- +goose Up
ALTER TABLE users ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN metadata TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN kind TEXT NOT NULL DEFAULT 'person';
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'read_only';
ALTER TABLE users ADD COLUMN active BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE users ADD COLUMN removed_at BIGINT;
UPDATE users SET updated_at = created_at, role = 'owner';
CREATE INDEX users_by_account ON users (account_id, id);
CREATE UNIQUE INDEX service_users_by_name ON users (account_id, name) WHERE kind = 'service' AND removed_at IS NULL;
CREATE INDEX credentials_by_owner ON credentials (owner_id);
CREATE INDEX api_keys_by_owner ON api_keys (owner_id);
