-- Who caused an event: a JSON object, '{}' for the server itself.

-- +goose Up
ALTER TABLE outbox ADD COLUMN actor TEXT NOT NULL DEFAULT '{}';
