-- name: CreateAccount :exec
INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, $3);

-- name: GetAccount :one
SELECT * FROM accounts WHERE id = $1;

-- name: ListAccounts :many
SELECT * FROM accounts WHERE id > @after ORDER BY id LIMIT @most;

-- name: CreateAPIKey :exec
INSERT INTO api_keys (id, account_id, owner_id, description, metadata, verifier, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: GetAPIKey :one
SELECT * FROM api_keys WHERE id = $1;

-- name: ListAPIKeys :many
SELECT * FROM api_keys WHERE id > @after ORDER BY id LIMIT @most;

-- name: RotateAPIKey :execrows
UPDATE api_keys SET verifier = @verifier, rotated_at = @rotated_at, previous_verifier = @previous_verifier, previous_until = @previous_until
WHERE id = @id;

-- name: DeleteAPIKey :execrows
DELETE FROM api_keys WHERE id = @id;
