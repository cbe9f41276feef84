-- name: GetCursor :one
SELECT seq FROM cursors WHERE subscriber = $1;

-- name: AdvanceCursor :exec
INSERT INTO cursors (subscriber, seq) VALUES ($1, $2)
ON CONFLICT (subscriber) DO UPDATE SET seq = excluded.seq WHERE cursors.seq < excluded.seq;

-- name: DeleteCursor :exec
DELETE FROM cursors WHERE subscriber = $1;
