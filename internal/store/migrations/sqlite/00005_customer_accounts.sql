-- +goose Up
-- Only adds, with a default: binaries of before go on writing beside this schema. They
-- would take an imported account for a customer, so nothing is to be imported beside
-- them. 1: customer is the id of an account (Accounts v2).
ALTER TABLE customers ADD COLUMN customer_is_account INTEGER NOT NULL DEFAULT 0 CHECK (customer_is_account IN (0, 1));

-- +goose Down
ALTER TABLE customers DROP COLUMN customer_is_account;
