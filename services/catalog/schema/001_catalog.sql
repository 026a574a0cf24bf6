-- What the merchant says.
CREATE TABLE products (
  id         TEXT PRIMARY KEY,
  handle     TEXT NOT NULL UNIQUE,
  status     TEXT NOT NULL,
  version    INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  doc        TEXT NOT NULL
);

CREATE TABLE variants (
  sku          TEXT PRIMARY KEY,
  product_id   TEXT NOT NULL,
  position     INTEGER NOT NULL,
  title        TEXT NOT NULL,
  weight_grams INTEGER NOT NULL,
  tax_class    TEXT NOT NULL
);
CREATE INDEX variants_by_product ON variants (product_id, position);

CREATE TABLE categories (
  id        TEXT PRIMARY KEY,
  parent_id TEXT NOT NULL,
  path      TEXT NOT NULL UNIQUE,
  position  INTEGER NOT NULL,
  title     TEXT NOT NULL
);

CREATE TABLE product_categories (
  product_id  TEXT NOT NULL,
  category_id TEXT NOT NULL,
  PRIMARY KEY (product_id, category_id)
);
CREATE INDEX product_categories_by_category ON product_categories (category_id, product_id);

-- What lists show: active products, on the shelf '' and on those of their
-- categories and all above them.
CREATE TABLE listed (
  product_id TEXT PRIMARY KEY,
  sort_title TEXT NOT NULL,
  summary    TEXT NOT NULL
);

CREATE TABLE shelves (
  category_id TEXT NOT NULL,
  sort_title  TEXT NOT NULL,
  product_id  TEXT NOT NULL,
  PRIMARY KEY (category_id, sort_title, product_id)
);
CREATE INDEX shelves_by_product ON shelves (product_id);

-- What pricing and inventory said last, by their revisions. Both may be told
-- of a SKU before the catalog knows it.
CREATE TABLE channels (
  id       TEXT PRIMARY KEY,
  currency TEXT NOT NULL
);

CREATE TABLE prices (
  sku         TEXT NOT NULL,
  channel     TEXT NOT NULL,
  minor       INTEGER NOT NULL,
  currency    TEXT NOT NULL,
  valid_from  INTEGER,
  valid_until INTEGER,
  revision    INTEGER NOT NULL,
  PRIMARY KEY (sku, channel)
);
CREATE INDEX prices_by_start ON prices (valid_from);
CREATE INDEX prices_by_end ON prices (valid_until);

CREATE TABLE stock (
  sku       TEXT PRIMARY KEY,
  available INTEGER NOT NULL,
  backorder INTEGER NOT NULL,
  revision  INTEGER NOT NULL
);
