-- A cart is one document; its shop and end are columns for the sweep.
CREATE TABLE carts (
  id         TEXT    NOT NULL PRIMARY KEY,
  shop       TEXT    NOT NULL,
  expires_at INTEGER NOT NULL,
  doc        TEXT    NOT NULL
);
CREATE INDEX carts_expiry ON carts (expires_at);
