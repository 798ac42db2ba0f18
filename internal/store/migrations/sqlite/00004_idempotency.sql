-- +goose Up
-- What a caller's idempotency key stands for: the request as it was decided, and the
-- key it is sent with. id is a hash of owner, route and key, body one of the request.
-- Nothing in a row opens a session. Times are unix milliseconds of this database.
CREATE TABLE idempotency_keys (
  id             TEXT    NOT NULL CHECK (id <> ''),
  body           TEXT    NOT NULL CHECK (body <> ''),
  params         TEXT    NOT NULL,
  stripe_version TEXT    NOT NULL,
  customer       TEXT    NOT NULL,
  session        TEXT    NOT NULL,
  stripe_key     TEXT    NOT NULL CHECK (stripe_key <> ''),
  holder         TEXT    NOT NULL CHECK (holder <> ''),
  done           INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
  lease_until    INTEGER NOT NULL,
  renewed_at     INTEGER,
  expires_at     INTEGER NOT NULL,
  PRIMARY KEY (id)
) STRICT;

-- What a purge looks for.
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
