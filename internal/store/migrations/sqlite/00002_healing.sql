-- +goose Up
-- Only adds, and every column has a default: binaries of before go on writing
-- beside this schema.
ALTER TABLE customers ADD COLUMN healed_at INTEGER;
ALTER TABLE customers ADD COLUMN sent_email TEXT NOT NULL DEFAULT '';
ALTER TABLE customers ADD COLUMN sent_name TEXT NOT NULL DEFAULT '';

-- What a sweep looks for is few rows among many.
CREATE INDEX customers_reserved ON customers (account, livemode, reserved_at) WHERE state = 'reserved';

-- Customers that a reconciliation found at Stripe, for the day their owner comes.
-- subject is as Stripe has it: plain or hashed.
CREATE TABLE found_customers (
  account    TEXT    NOT NULL CHECK (account <> ''),
  livemode   INTEGER NOT NULL CHECK (livemode IN (0, 1)),
  issuer     TEXT    NOT NULL CHECK (issuer <> ''),
  kind       TEXT    NOT NULL CHECK (kind IN ('user', 'org')),
  subject    TEXT    NOT NULL CHECK (subject <> ''),
  customer   TEXT    NOT NULL CHECK (customer <> ''),
  generation INTEGER NOT NULL CHECK (generation >= 1),
  found_at   INTEGER NOT NULL,
  PRIMARY KEY (account, livemode, issuer, kind, subject)
) STRICT;

-- +goose Down
DROP TABLE found_customers;
DROP INDEX customers_reserved;
ALTER TABLE customers DROP COLUMN sent_name;
ALTER TABLE customers DROP COLUMN sent_email;
ALTER TABLE customers DROP COLUMN healed_at;
