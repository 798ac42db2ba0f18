-- +goose Up
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '5s';

-- Only adds, with a default: binaries of before go on writing beside this schema. They
-- would take an imported account for a customer, so nothing is to be imported beside
-- them. TRUE: customer is the id of an account (Accounts v2).
ALTER TABLE customers ADD COLUMN customer_is_account BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE customers DROP COLUMN customer_is_account;
