-- name: CreateCredential :exec
INSERT INTO credentials (id, account_id, owner_id, description, metadata, acl, verifier, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: GetCredential :one
SELECT * FROM credentials WHERE id = $1;

-- name: ListCredentials :many
SELECT * FROM credentials WHERE id > @after AND revoked_at IS NULL ORDER BY id LIMIT @most;

-- name: RevokeCredential :execrows
UPDATE credentials SET revoked_at = @revoked_at WHERE id = @id AND revoked_at IS NULL;

-- name: UpdateCredential :execrows
UPDATE credentials SET description = @description, metadata = @metadata, acl = @acl WHERE id = @id AND revoked_at IS NULL;

-- name: RotateCredential :execrows
UPDATE credentials SET verifier = @verifier, rotated_at = @rotated_at, previous_verifier = @previous_verifier, previous_until = @previous_until
WHERE id = @id AND revoked_at IS NULL;
