-- One row an order's attempt to pay. due_at is when the reconciler looks at it
-- next, 0 when there is nothing to look for; times are microseconds UTC.
CREATE TABLE intents (
  shop         TEXT    NOT NULL,
  id           TEXT    NOT NULL,
  order_id     TEXT    NOT NULL,
  run_id       TEXT    NOT NULL,
  attempt      INTEGER NOT NULL,
  amount_minor INTEGER NOT NULL,
  currency     TEXT    NOT NULL,
  provider     TEXT    NOT NULL,
  provider_id  TEXT    NOT NULL,
  state        TEXT    NOT NULL,
  seen         INTEGER NOT NULL,
  held         INTEGER NOT NULL,
  cause        TEXT    NOT NULL,
  reason       TEXT    NOT NULL,
  tries        INTEGER NOT NULL,
  due_at       INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  PRIMARY KEY (shop, id)
);
CREATE UNIQUE INDEX intents_by_order ON intents (shop, order_id, attempt);
CREATE UNIQUE INDEX intents_by_provider_id ON intents (provider, provider_id) WHERE provider_id <> '';
CREATE INDEX intents_due ON intents (due_at) WHERE due_at > 0;

-- A run whose payment was called off; what it still tries to authorize is refused.
CREATE TABLE tombstones (
  shop       TEXT    NOT NULL,
  order_id   TEXT    NOT NULL,
  run_id     TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (shop, order_id, run_id)
);

-- The double-entry book: the lines of a posting (intent, kind) add up to nothing.
CREATE TABLE ledger_lines (
  shop         TEXT    NOT NULL,
  intent_id    TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  line         INTEGER NOT NULL,
  account      TEXT    NOT NULL,
  amount_minor INTEGER NOT NULL,
  currency     TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (shop, intent_id, kind, line)
);

-- Webhooks as they came, until they expire; due_at is 0 once their payment was read.
CREATE TABLE webhooks (
  shop        TEXT    NOT NULL,
  provider    TEXT    NOT NULL,
  event_id    TEXT    NOT NULL,
  provider_id TEXT    NOT NULL,
  raw         BLOB    NOT NULL,
  tries       INTEGER NOT NULL,
  due_at      INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  PRIMARY KEY (shop, provider, event_id)
);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at > 0;
CREATE INDEX webhooks_expiring ON webhooks (expires_at);
