-- +goose Up
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '5s';

-- Who changed what. The key is the order of events, and tells one that is written
-- twice. Times are unix milliseconds.
CREATE TABLE audit_events (
  at         BIGINT  NOT NULL,
  id         TEXT    COLLATE "C" NOT NULL CHECK (id <> ''),
  account    TEXT    COLLATE "C" NOT NULL,
  livemode   BOOLEAN NOT NULL,
  issuer     TEXT    COLLATE "C" NOT NULL,
  kind       TEXT    COLLATE "C" NOT NULL,
  subject    TEXT    COLLATE "C" NOT NULL,
  member     TEXT    COLLATE "C" NOT NULL,
  action     TEXT    COLLATE "C" NOT NULL CHECK (action <> ''),
  object     TEXT    COLLATE "C" NOT NULL,
  customer   TEXT    COLLATE "C" NOT NULL,
  outcome    TEXT    COLLATE "C" NOT NULL CHECK (outcome <> ''),
  request_id TEXT    COLLATE "C" NOT NULL,
  client     TEXT    COLLATE "C" NOT NULL,
  key_hash   TEXT    COLLATE "C" NOT NULL,
  PRIMARY KEY (at, id)
);

-- +goose Down
DROP TABLE audit_events;
