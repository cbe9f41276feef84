-- name: GetPort :one
SELECT * FROM ports WHERE scheme = @scheme AND port = @port;

-- name: ClaimPort :execrows
INSERT INTO ports (scheme, port, account_id, credential_id, assigned, endpoint, installation, created_at, last_used_at)
VALUES (@scheme, @port, @account_id, @credential_id, @assigned, @endpoint, @installation, @created_at, @last_used_at)
ON CONFLICT (scheme, port) DO UPDATE SET
    account_id = excluded.account_id, credential_id = excluded.credential_id, assigned = excluded.assigned,
    endpoint = excluded.endpoint, installation = excluded.installation, created_at = excluded.created_at, last_used_at = excluded.last_used_at
WHERE ports.account_id <> excluded.account_id AND ports.last_used_at < @since;

-- name: HeldPorts :many
SELECT * FROM ports WHERE scheme = @scheme AND port >= @lo AND port <= @hi AND last_used_at >= @since ORDER BY port;

-- name: TouchPort :exec
UPDATE ports SET last_used_at = @at WHERE scheme = @scheme AND port = @port AND last_used_at < @at;

-- name: KeepPort :exec
UPDATE ports SET installation = @installation WHERE scheme = @scheme AND port = @port AND assigned AND installation <> @installation;

-- name: ExpirePorts :execrows
DELETE FROM ports WHERE last_used_at < @before;
