-- A rate is one document; there are few.
CREATE TABLE rates (
  shop TEXT NOT NULL,
  id   TEXT NOT NULL,
  doc  TEXT NOT NULL,
  PRIMARY KEY (shop, id)
);
