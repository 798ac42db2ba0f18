-- +goose Up
-- What runs here may take its time, but must not queue for long in front of those
-- who use the tables. SET LOCAL, because a pooler gives the session to others.
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '5s';

-- One row per owner: the primary key is the guarantee. Texts compare byte for
-- byte: "C" is that in every database, and no upgrade of the operating system
-- reorders its indexes. Times are unix milliseconds.
CREATE TABLE customers (
  account          TEXT    COLLATE "C" NOT NULL CHECK (account <> ''),
  livemode         BOOLEAN NOT NULL,
  issuer           TEXT    COLLATE "C" NOT NULL CHECK (issuer <> ''),
  kind             TEXT    COLLATE "C" NOT NULL CHECK (kind IN ('user', 'org')),
  subject          TEXT    COLLATE "C" NOT NULL CHECK (subject <> ''),
  generation       BIGINT  NOT NULL CHECK (generation >= 1),
  state            TEXT    COLLATE "C" NOT NULL CHECK (state IN ('reserved', 'active')),
  customer         TEXT    COLLATE "C" CHECK (customer <> ''),
  idempotency_key  TEXT    COLLATE "C" NOT NULL CHECK (idempotency_key <> ''),
  params           TEXT    COLLATE "C" NOT NULL,
  stripe_version   TEXT    COLLATE "C" NOT NULL,
  key_spent        BOOLEAN NOT NULL DEFAULT FALSE,
  reserved_at      BIGINT  NOT NULL,
  first_attempt_at BIGINT,
  last_attempt_at  BIGINT,
  activated_at     BIGINT,
  healed_at        BIGINT,
  sent_email       TEXT    COLLATE "C" NOT NULL DEFAULT '',
  sent_name        TEXT    COLLATE "C" NOT NULL DEFAULT '',
  PRIMARY KEY (account, livemode, issuer, kind, subject),
  CHECK ((state = 'active') = (customer IS NOT NULL))
);

-- A customer belongs to one owner.
CREATE UNIQUE INDEX customers_customer ON customers (account, livemode, customer) WHERE customer IS NOT NULL;

-- What a sweep looks for is few rows among many.
CREATE INDEX customers_reserved ON customers (account, livemode, reserved_at) WHERE state = 'reserved';

-- Customers that a reconciliation found at Stripe, for the day their owner comes.
-- subject is as Stripe has it: plain or hashed.
CREATE TABLE found_customers (
  account    TEXT    COLLATE "C" NOT NULL CHECK (account <> ''),
  livemode   BOOLEAN NOT NULL,
  issuer     TEXT    COLLATE "C" NOT NULL CHECK (issuer <> ''),
  kind       TEXT    COLLATE "C" NOT NULL CHECK (kind IN ('user', 'org')),
  subject    TEXT    COLLATE "C" NOT NULL CHECK (subject <> ''),
  customer   TEXT    COLLATE "C" NOT NULL CHECK (customer <> ''),
  generation BIGINT  NOT NULL CHECK (generation >= 1),
  found_at   BIGINT  NOT NULL,
  PRIMARY KEY (account, livemode, issuer, kind, subject)
);

-- The accounts this database has served, so that a start without Stripe knows
-- whose mappings these are. The key itself is never stored.
CREATE TABLE stripe_accounts (
  key_fingerprint TEXT    COLLATE "C" NOT NULL,
  account         TEXT    COLLATE "C" NOT NULL CHECK (account <> ''),
  livemode        BOOLEAN NOT NULL,
  seen_at         BIGINT  NOT NULL,
  PRIMARY KEY (key_fingerprint)
);

-- +goose Down
DROP TABLE stripe_accounts;
DROP TABLE found_customers;
DROP TABLE customers;
