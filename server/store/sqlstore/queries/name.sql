-- name: GetName :one
SELECT * FROM names WHERE host = $1;

-- name: NameBelow :one
SELECT * FROM names
WHERE tree_key >= @from_key AND tree_key < @to_key AND account_id <> @account_id AND last_used_at >= @since
LIMIT 1;

-- name: NameAt :one
SELECT * FROM names
WHERE tree_key = @tree_key AND account_id <> @account_id AND last_used_at >= @since
LIMIT 1;

-- The row of a conflict is locked before WHERE is judged, so of two accounts that
-- claim one name at the same time exactly one gets it.
-- name: ClaimName :execrows
INSERT INTO names (host, tree_key, account_id, credential_id, assigned, endpoint, kind, slot, installation, created_at, last_used_at)
VALUES (@host, @tree_key, @account_id, @credential_id, @assigned, @endpoint, @kind, @slot, @installation, @created_at, @last_used_at)
ON CONFLICT (host) DO UPDATE SET
    account_id = excluded.account_id, credential_id = excluded.credential_id, assigned = excluded.assigned,
    endpoint = excluded.endpoint, kind = excluded.kind, slot = excluded.slot, installation = excluded.installation,
    created_at = excluded.created_at, last_used_at = excluded.last_used_at
WHERE names.account_id <> excluded.account_id AND names.last_used_at < @since;

-- name: NameSeries :many
SELECT * FROM names
WHERE credential_id = @credential_id AND endpoint = @endpoint AND kind = @kind AND assigned
ORDER BY slot, host;

-- name: TouchName :exec
UPDATE names SET last_used_at = @at WHERE host = @host AND last_used_at < @at;

-- name: KeepName :exec
UPDATE names SET installation = @installation WHERE host = @host AND assigned AND installation <> @installation;

-- name: ListNames :many
SELECT * FROM names WHERE host > @after AND last_used_at >= @since ORDER BY host LIMIT @most;

-- name: ExpireNames :execrows
DELETE FROM names WHERE last_used_at < @before;
