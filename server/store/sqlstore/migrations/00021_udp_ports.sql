-- +goose Up
CREATE TABLE ports_by_scheme (
    scheme        TEXT COLLATE "C" NOT NULL, -- tcp or udp
    port          BIGINT  NOT NULL,
    account_id    TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    credential_id TEXT COLLATE "C" NOT NULL, -- an authtoken's or an SSH key's
    assigned      BOOLEAN NOT NULL,
    endpoint      TEXT    NOT NULL,
    installation  TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    last_used_at  BIGINT  NOT NULL,
    PRIMARY KEY (scheme, port)
);
INSERT INTO ports_by_scheme (scheme, port, account_id, credential_id, assigned, endpoint, installation, created_at, last_used_at)
SELECT 'tcp', port, account_id, credential_id, assigned, endpoint, installation, created_at, last_used_at FROM ports;
DROP TABLE ports;
ALTER TABLE ports_by_scheme RENAME TO ports;
