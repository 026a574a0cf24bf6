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

-- The list of orders, a projection of their streams.
CREATE TABLE order_view (
  order_id   TEXT    NOT NULL PRIMARY KEY,
  shop       TEXT    NOT NULL,
  cart_id    TEXT    NOT NULL,
  subject_id TEXT    NOT NULL,
  state      TEXT    NOT NULL,
  currency   TEXT    NOT NULL,
  total      INTEGER NOT NULL,
  quantity   INTEGER NOT NULL,
  placed_at  INTEGER NOT NULL,
  decided_at INTEGER NOT NULL
);
CREATE INDEX order_view_cart ON order_view (cart_id, order_id);
CREATE INDEX order_view_subject ON order_view (subject_id, order_id);
CREATE INDEX order_view_state ON order_view (state, order_id);
