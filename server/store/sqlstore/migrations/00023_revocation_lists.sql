-- The revocation lists of uploaded certificate authorities; '' for none.

-- +goose Up
ALTER TABLE certificate_authorities ADD COLUMN revocation_lists TEXT COLLATE "C" NOT NULL DEFAULT '';
