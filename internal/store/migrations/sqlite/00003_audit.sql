-- +goose Up
-- Who changed what. The key is the order of events, and tells one that is written
-- twice. Times are unix milliseconds.
CREATE TABLE audit_events (
  at         INTEGER NOT NULL,
  id         TEXT    NOT NULL CHECK (id <> ''),
  account    TEXT    NOT NULL,
  livemode   INTEGER NOT NULL CHECK (livemode IN (0, 1)),
  issuer     TEXT    NOT NULL,
  kind       TEXT    NOT NULL,
  subject    TEXT    NOT NULL,
  member     TEXT    NOT NULL,
  action     TEXT    NOT NULL CHECK (action <> ''),
  object     TEXT    NOT NULL,
  customer   TEXT    NOT NULL,
  outcome    TEXT    NOT NULL CHECK (outcome <> ''),
  request_id TEXT    NOT NULL,
  client     TEXT    NOT NULL,
  key_hash   TEXT    NOT NULL,
  PRIMARY KEY (at, id)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE audit_events;
