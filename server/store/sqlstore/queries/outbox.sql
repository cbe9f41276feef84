-- name: NextSeq :one
UPDATE outbox_head SET seq = seq + 1 WHERE id = 1 RETURNING seq;

-- name: Head :one
SELECT seq FROM outbox_head WHERE id = 1;

-- name: AppendRecord :exec
INSERT INTO outbox (seq, id, type, account_id, subject, at, object, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: RecordsAfter :many
SELECT * FROM outbox WHERE seq > @after ORDER BY seq LIMIT @most;

-- name: PruneOutbox :execrows
DELETE FROM outbox WHERE at < @before;

-- name: GetSetting :one
SELECT value FROM settings WHERE key = $1;

-- name: PutSetting :exec
INSERT INTO settings (key, value) VALUES ($1, $2)
ON CONFLICT (key) DO UPDATE SET value = excluded.value;
