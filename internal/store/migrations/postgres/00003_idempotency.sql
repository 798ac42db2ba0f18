-- +goose Up
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '5s';

-- What a caller's idempotency key stands for: the request as it was decided, and the
-- key it is sent with. id is a hash of owner, route and key, body one of the request.
-- Nothing in a row opens a session. Times are unix milliseconds of this database.
CREATE TABLE idempotency_keys (
  id             TEXT    COLLATE "C" NOT NULL CHECK (id <> ''),
  body           TEXT    COLLATE "C" NOT NULL CHECK (body <> ''),
  params         TEXT    COLLATE "C" NOT NULL,
  stripe_version TEXT    COLLATE "C" NOT NULL,
  customer       TEXT    COLLATE "C" NOT NULL,
  session        TEXT    COLLATE "C" NOT NULL,
  stripe_key     TEXT    COLLATE "C" NOT NULL CHECK (stripe_key <> ''),
  holder         TEXT    COLLATE "C" NOT NULL CHECK (holder <> ''),
  done           BOOLEAN NOT NULL DEFAULT FALSE,
  lease_until    BIGINT  NOT NULL,
  renewed_at     BIGINT,
  expires_at     BIGINT  NOT NULL,
  PRIMARY KEY (id)
);

-- What a purge looks for.
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
