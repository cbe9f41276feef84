-- How far subscribers have read the outbox.

-- +goose Up
CREATE TABLE cursors (
    subscriber TEXT COLLATE "C" PRIMARY KEY,
    seq        BIGINT NOT NULL
);
