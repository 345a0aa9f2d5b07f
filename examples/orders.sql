-- The tables of orders.py and orders.toml.

CREATE TYPE payment_method AS ENUM ('card', 'sepa', 'cash');

CREATE TABLE customer (
    customer_id uuid PRIMARY KEY,
    name text NOT NULL,
    email varchar(120),
    city text,
    country char(2),
    credit_limit numeric(12, 2) NOT NULL DEFAULT 0,
    newsletter boolean NOT NULL DEFAULT false,
    tags text[],
    created_at timestamptz NOT NULL DEFAULT now(),
    rest jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE customer_order (
    customer_id uuid NOT NULL,
    ordered_on date NOT NULL,
    number bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('OPEN', 'PAID', 'SENT')),
    total numeric(12, 2) NOT NULL,
    lines jsonb NOT NULL,
    first_sku text,
    tags text[],
    placed_at timestamptz NOT NULL,
    expires_at timestamptz,
    signature bytea,
    rest jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (customer_id, ordered_on, number)
);

CREATE TABLE payment (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    amount numeric(12, 2) NOT NULL CHECK (amount >= 0),
    method payment_method NOT NULL,
    paid_at timestamptz,
    ip inet,
    item json NOT NULL
);
