-- One live order per cart: the order that last claimed it, and the one whose lines had
-- been taken out of the cart by then, '' for none. A rejection gives the claim back to it.
CREATE TABLE live_carts (
  shop     TEXT NOT NULL,
  cart_id  TEXT NOT NULL,
  order_id TEXT NOT NULL,
  taken_by TEXT NOT NULL,
  PRIMARY KEY (shop, cart_id)
);

-- The provider's token of the shopper's means of payment, kept only until the order is decided.
CREATE TABLE payment_tokens (
  order_id TEXT NOT NULL PRIMARY KEY,
  token    TEXT NOT NULL
);

-- What people see of orders, a projection of their streams. Times are in microseconds; day is that of sold_at in the
-- shop's zone. The three states together are an order's standing: lists by any of them go through its standings, so that
-- no list reads rows which it does not show. The list's order is sold_at, order_id.
CREATE TABLE order_view (
  order_id         TEXT    NOT NULL PRIMARY KEY,
  shop             TEXT    NOT NULL,
  reference        TEXT    NOT NULL, -- the merchant's own number of it, '' for none
  cart_id          TEXT    NOT NULL, -- '' for an order of the desk
  subject_id       TEXT    NOT NULL,
  country          TEXT    NOT NULL,
  currency         TEXT    NOT NULL,
  total            BIGINT  NOT NULL,
  quantity         INTEGER NOT NULL,
  day              TEXT    NOT NULL, -- 2011-07-31
  sold_at          BIGINT  NOT NULL,
  placed_at        BIGINT  NOT NULL,
  decided_at       BIGINT  NOT NULL, -- 0 while pending
  state            TEXT    NOT NULL,
  payment_state    TEXT    NOT NULL,
  fulfilment_state TEXT    NOT NULL,
  rejection        TEXT    NOT NULL, -- its code, '' unless it was rejected
  captured         BIGINT  NOT NULL,
  refunded         BIGINT  NOT NULL,
  weight           BIGINT  NOT NULL  -- of all that it adds to sales; the weights of all orders are that of all sales
);
CREATE INDEX order_view_sold ON order_view (sold_at, order_id);
CREATE INDEX order_view_standing ON order_view (state, payment_state, fulfilment_state, sold_at, order_id);
CREATE INDEX order_view_country ON order_view (country, sold_at, order_id);
CREATE INDEX order_view_country_standing ON order_view (country, state, payment_state, fulfilment_state, sold_at, order_id);
CREATE INDEX order_view_subject ON order_view (subject_id, sold_at, order_id);
CREATE INDEX order_view_cart ON order_view (cart_id, sold_at, order_id) WHERE cart_id <> '';
CREATE INDEX order_view_reference ON order_view (reference, sold_at, order_id) WHERE reference <> '';

-- What comes and came back, a projection like the list of orders.
CREATE TABLE return_view (
  return_id   TEXT   NOT NULL PRIMARY KEY,
  shop        TEXT   NOT NULL,
  order_id    TEXT   NOT NULL,
  subject_id  TEXT   NOT NULL,
  reference   TEXT   NOT NULL, -- the merchant's own number of it, '' for none
  state       TEXT   NOT NULL,
  currency    TEXT   NOT NULL,
  refund      BIGINT NOT NULL, -- what is or will be given back
  refund_id   TEXT   NOT NULL, -- '' while none was asked for
  reason      TEXT   NOT NULL,
  lines       TEXT   NOT NULL, -- JSON
  opened_at   BIGINT NOT NULL,
  received_at BIGINT NOT NULL  -- 0 before
);
CREATE INDEX return_view_opened ON return_view (opened_at, return_id);
CREATE INDEX return_view_state ON return_view (state, opened_at, return_id);
CREATE INDEX return_view_subject ON return_view (subject_id, opened_at, return_id);
CREATE INDEX return_view_reference ON return_view (reference, opened_at, return_id) WHERE reference <> '';
CREATE INDEX return_view_order ON return_view (order_id);

-- What was sold and came back, a projection too: by day and SKU; with sku '' all of a day, with day '' all of a SKU.
CREATE TABLE sales (
  shop     TEXT   NOT NULL,
  day      TEXT   NOT NULL,
  sku      TEXT   NOT NULL,
  currency TEXT   NOT NULL,
  orders   BIGINT NOT NULL,
  sold     BIGINT NOT NULL, -- pieces
  revenue  BIGINT NOT NULL,
  returned BIGINT NOT NULL, -- pieces
  refunds  BIGINT NOT NULL
);
CREATE UNIQUE INDEX sales_by_day ON sales (shop, day DESC, sku, currency);
CREATE INDEX sales_by_sku ON sales (shop, sku, day DESC, currency);
