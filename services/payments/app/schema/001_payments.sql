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
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  multi        INTEGER NOT NULL, -- 1: the provider can capture it in parts
  captured_minor INTEGER NOT NULL, -- by the provider, by captures that are done
  refunded_minor INTEGER NOT NULL,
  tries        INTEGER NOT NULL,
  due_at       INTEGER NOT NULL,
  PRIMARY KEY (shop, id)
);
CREATE UNIQUE INDEX intents_by_order ON intents (shop, order_id, attempt);
CREATE UNIQUE INDEX intents_by_provider_id ON intents (provider, provider_id) WHERE provider_id <> '';
CREATE INDEX intents_by_state ON intents (shop, state, id);
CREATE INDEX intents_due ON intents (due_at) WHERE due_at > 0;

-- A run whose step was called off; what it still tries to authorize (pay) or to
-- hold (credit) is refused.
CREATE TABLE tombstones (
  shop       TEXT    NOT NULL,
  step       TEXT    NOT NULL,
  order_id   TEXT    NOT NULL,
  run_id     TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (shop, step, order_id, run_id)
);

-- One row a capture or a refund; its id is the key for ever. credit_minor is the
-- share of store credit, the rest is the provider's. due_at is when the
-- reconciler asks the provider again, 0 when the outcome is known.
CREATE TABLE operations (
  shop         TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  id           TEXT    NOT NULL,
  order_id     TEXT    NOT NULL,
  intent_id    TEXT    NOT NULL, -- empty: wholly of store credit
  amount_minor INTEGER NOT NULL,
  currency     TEXT    NOT NULL,
  credit_minor INTEGER NOT NULL,
  final        INTEGER NOT NULL,
  reason       TEXT    NOT NULL,
  state        TEXT    NOT NULL,
  code         TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  tries        INTEGER NOT NULL,
  due_at       INTEGER NOT NULL,
  PRIMARY KEY (shop, id)
);
CREATE INDEX operations_by_order ON operations (shop, kind, order_id, created_at, id);
CREATE INDEX operations_due ON operations (due_at) WHERE due_at > 0;
CREATE INDEX operations_by_state ON operations (shop, kind, state, order_id, created_at, id);

-- Store credit that a run set aside for an order.
CREATE TABLE credits (
  shop           TEXT    NOT NULL,
  order_id       TEXT    NOT NULL,
  run_id         TEXT    NOT NULL,
  subject_id     TEXT    NOT NULL,
  amount_minor   INTEGER NOT NULL,
  currency       TEXT    NOT NULL,
  captured_minor INTEGER NOT NULL,
  released_minor INTEGER NOT NULL,
  refunded_minor INTEGER NOT NULL, -- of what was captured
  closed         INTEGER NOT NULL, -- 1: nothing more will be captured of it
  created_at     INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL,
  PRIMARY KEY (shop, order_id, run_id)
);

-- What a wallet's stream has come to, kept for speed; entries is its version.
CREATE TABLE wallets (
  shop          TEXT    NOT NULL,
  subject_id    TEXT    NOT NULL,
  currency      TEXT    NOT NULL,
  balance_minor INTEGER NOT NULL,
  held_minor    INTEGER NOT NULL,
  entries       INTEGER NOT NULL,
  PRIMARY KEY (shop, subject_id, currency)
);

-- A wallet's stream as people read it: newest first, by kind.
CREATE TABLE wallet_entries (
  shop          TEXT    NOT NULL,
  subject_id    TEXT    NOT NULL,
  currency      TEXT    NOT NULL,
  number        INTEGER NOT NULL, -- in the stream, from 1
  kind          TEXT    NOT NULL,
  amount_minor  INTEGER NOT NULL,
  balance_minor INTEGER NOT NULL, -- after it
  order_id      TEXT    NOT NULL,
  reason        TEXT    NOT NULL,
  actor         TEXT    NOT NULL,
  at            INTEGER NOT NULL,
  PRIMARY KEY (shop, subject_id, currency, number)
);
CREATE INDEX wallet_entries_by_kind ON wallet_entries (shop, subject_id, currency, kind, number);

-- The double-entry book: the lines of a posting (owner, kind) add up to nothing.
-- The owner is an intent, an operation or an entry of a wallet.
CREATE TABLE ledger_lines (
  shop         TEXT    NOT NULL,
  owner_id     TEXT    NOT NULL,
  kind         TEXT    NOT NULL,
  line         INTEGER NOT NULL,
  account      TEXT    NOT NULL,
  amount_minor INTEGER NOT NULL,
  currency     TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (shop, owner_id, kind, line)
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
