-- A rate is one document; there are few.
CREATE TABLE rates (
  shop TEXT NOT NULL,
  id   TEXT NOT NULL,
  doc  TEXT NOT NULL,
  PRIMARY KEY (shop, id)
);

-- What an order is to be sent: its lines and parcels are one document, so that an order costs a row and not a row a line.
CREATE TABLE shipments (
  shop       TEXT    NOT NULL,
  order_id   TEXT    NOT NULL,
  subject_id TEXT    NOT NULL, -- '' until it opens
  state      TEXT    NOT NULL, -- open, partly_dispatched, dispatched, stopped
  opened_at  INTEGER NOT NULL, -- microseconds since 1970, UTC; 0 until it opens
  doc        TEXT    NOT NULL, -- JSON: lines and parcels
  PRIMARY KEY (shop, order_id)
);
CREATE INDEX shipments_by_state ON shipments (shop, state, order_id);
