-- Error pages and maintenance, as a JSON object; NULL leaves everything to the server.

-- +goose Up
ALTER TABLE reserved_domains ADD COLUMN pages TEXT COLLATE "C";
ALTER TABLE cloud_endpoints ADD COLUMN pages TEXT COLLATE "C";
