-- name: PutLimits :exec
INSERT INTO limits (subject_id, account_id, sessions, endpoints, connections, requests_per_minute, bytes_per_second)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (subject_id) DO UPDATE SET
    sessions = excluded.sessions, endpoints = excluded.endpoints, connections = excluded.connections,
    requests_per_minute = excluded.requests_per_minute, bytes_per_second = excluded.bytes_per_second;

-- name: DeleteLimits :exec
DELETE FROM limits WHERE subject_id = $1;

-- name: GetLimits :one
SELECT * FROM limits WHERE subject_id = $1;

-- name: ListLimits :many
SELECT * FROM limits WHERE subject_id > @after ORDER BY subject_id LIMIT @most;
