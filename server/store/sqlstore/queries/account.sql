-- name: CreateAccount :exec
INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, $3);

-- name: GetAccount :one
SELECT * FROM accounts WHERE id = $1;

-- name: ListAccounts :many
SELECT * FROM accounts WHERE id > @after ORDER BY id LIMIT @most;
