-- Credentials and API keys are resources like others.

-- +goose Up
ALTER TABLE credentials ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE credentials SET updated_at = created_at;
UPDATE api_keys SET updated_at = created_at;
CREATE INDEX credentials_by_account ON credentials (account_id, id);
CREATE INDEX api_keys_by_account ON api_keys (account_id, id);
