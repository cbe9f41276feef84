-- The verifier that a rotation has replaced is good until previous_until. rotated_at
-- is for people.

-- +goose Up
ALTER TABLE credentials ADD COLUMN rotated_at BIGINT;
ALTER TABLE credentials ADD COLUMN previous_verifier BYTEA;
ALTER TABLE credentials ADD COLUMN previous_until BIGINT;
ALTER TABLE api_keys ADD COLUMN rotated_at BIGINT;
ALTER TABLE api_keys ADD COLUMN previous_verifier BYTEA;
ALTER TABLE api_keys ADD COLUMN previous_until BIGINT;
