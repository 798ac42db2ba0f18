-- +goose Up
-- One row per owner: the primary key is the guarantee. Texts compare byte for
-- byte (SQLite's default collation). Times are unix milliseconds.
CREATE TABLE customers (
  account          TEXT    NOT NULL CHECK (account <> ''),
  livemode         INTEGER NOT NULL CHECK (livemode IN (0, 1)),
  issuer           TEXT    NOT NULL CHECK (issuer <> ''),
  kind             TEXT    NOT NULL CHECK (kind IN ('user', 'org')),
  subject          TEXT    NOT NULL CHECK (subject <> ''),
  generation       INTEGER NOT NULL CHECK (generation >= 1),
  state            TEXT    NOT NULL CHECK (state IN ('reserved', 'active')),
  customer         TEXT             CHECK (customer <> ''),
  idempotency_key  TEXT    NOT NULL CHECK (idempotency_key <> ''),
  params           TEXT    NOT NULL,
  stripe_version   TEXT    NOT NULL,
  key_spent        INTEGER NOT NULL DEFAULT 0 CHECK (key_spent IN (0, 1)),
  reserved_at      INTEGER NOT NULL,
  first_attempt_at INTEGER,
  last_attempt_at  INTEGER,
  activated_at     INTEGER,
  PRIMARY KEY (account, livemode, issuer, kind, subject),
  CHECK ((state = 'active') = (customer IS NOT NULL))
) STRICT;

-- A customer belongs to one owner.
CREATE UNIQUE INDEX customers_customer ON customers (account, livemode, customer) WHERE customer IS NOT NULL;

-- The accounts this database has served, so that a start without Stripe knows
-- whose mappings these are. The key itself is never stored.
CREATE TABLE stripe_accounts (
  key_fingerprint TEXT    NOT NULL,
  account         TEXT    NOT NULL CHECK (account <> ''),
  livemode        INTEGER NOT NULL CHECK (livemode IN (0, 1)),
  seen_at         INTEGER NOT NULL,
  PRIMARY KEY (key_fingerprint)
) STRICT;

-- +goose Down
DROP TABLE stripe_accounts;
DROP TABLE customers;
