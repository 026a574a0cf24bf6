-- Locations, in the order in which they give: lower priority first, then id. The default one, 'main', is made at the start.
CREATE TABLE locations (
	shop     TEXT    NOT NULL,
	id       TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	priority INTEGER NOT NULL,
	PRIMARY KEY (shop, id)
);

-- One row a SKU that anybody has ever received, counted, sold or given a policy.
CREATE TABLE skus (
	shop            TEXT    NOT NULL,
	sku             TEXT    NOT NULL,
	backorder       INTEGER NOT NULL CHECK (backorder IN (0, 1)),
	backorder_limit INTEGER NOT NULL CHECK (backorder_limit >= 0),
	revision        BIGINT  NOT NULL CHECK (revision >= 0), -- of the SKU when this row was written
	PRIMARY KEY (shop, sku)
);

-- available = on_hand - held - allocated; it has no CHECK, as a count, a write-off or a backorder may take it below zero,
-- and what was shipped has left even if the books had less on hand. The revision of a SKU is the highest of its rows.
CREATE TABLE levels (
	shop        TEXT    NOT NULL,
	sku         TEXT    NOT NULL,
	location_id TEXT    NOT NULL,
	on_hand     BIGINT  NOT NULL,
	held        BIGINT  NOT NULL CHECK (held >= 0),
	allocated   BIGINT  NOT NULL CHECK (allocated >= 0),
	known       INTEGER NOT NULL CHECK (known IN (0, 1)), -- something was received, counted or shipped here
	revision    BIGINT  NOT NULL CHECK (revision >= 0),   -- of the SKU when this row was written
	PRIMARY KEY (shop, sku, location_id)
);

-- The ledger: on_hand = the sum of delta. It is bound in volumes, and its index by SKU is one for each: so a batch of
-- movements of many SKUs writes to the few pages of the last volume, however long the ledger has grown.
CREATE TABLE movements (
	shop        TEXT    NOT NULL,
	id          INTEGER PRIMARY KEY, -- the place in the ledger, from 1
	volume      BIGINT  NOT NULL,
	sku         TEXT    NOT NULL,
	location_id TEXT    NOT NULL,
	kind        TEXT    NOT NULL CHECK (kind IN ('received', 'adjusted', 'written_off', 'shipped', 'returned')),
	delta       BIGINT  NOT NULL CHECK (delta <> 0),
	short       BIGINT  NOT NULL CHECK (short >= 0), -- pieces that somebody is owed since
	reason      TEXT    NOT NULL,
	actor       TEXT    NOT NULL,
	at          BIGINT  NOT NULL, -- when it happened; a parcel's may be recorded later
	order_id    TEXT    NOT NULL  -- of shipped pieces and of what came back, else ''
);
CREATE INDEX movements_by_sku ON movements (volume, sku, id, at, kind);
CREATE INDEX movements_by_order ON movements (order_id, id) WHERE order_id <> '';

-- What each run of each order was promised. 'canceled' is the tombstone of a release that came first. Nothing is promised
-- any more by one that is 'released' or 'shipped'.
CREATE TABLE order_holds (
	shop     TEXT    NOT NULL,
	order_id TEXT    NOT NULL,
	run_id   TEXT    NOT NULL,
	state    TEXT    NOT NULL CHECK (state IN ('held', 'allocated', 'released', 'shipped', 'canceled')),
	held_at  BIGINT  NOT NULL,
	deadline BIGINT  NOT NULL,
	reported INTEGER NOT NULL CHECK (reported IN (0, 1)), -- HoldOverdue was said for this deadline
	PRIMARY KEY (order_id, run_id)
);
CREATE INDEX order_holds_due ON order_holds (deadline) WHERE state = 'held' AND reported = 0;

CREATE TABLE hold_lines (
	shop        TEXT    NOT NULL,
	order_id    TEXT    NOT NULL,
	run_id      TEXT    NOT NULL,
	sku         TEXT    NOT NULL,
	location_id TEXT    NOT NULL,
	quantity    BIGINT  NOT NULL CHECK (quantity > 0),
	backordered BIGINT  NOT NULL CHECK (backordered >= 0 AND backordered <= quantity),
	gone        BIGINT  NOT NULL, -- shipped or given up while the rest stays promised; of a shipped hold all is gone
	PRIMARY KEY (order_id, run_id, sku, location_id)
);

-- What was heard of orders beside their confirmation, each once: parcels, returns and releases of lines.
CREATE TABLE order_facts (
	shop     TEXT NOT NULL,
	order_id TEXT NOT NULL,
	kind     TEXT NOT NULL CHECK (kind IN ('shipped', 'returned', 'released')),
	fact_id  TEXT NOT NULL,
	PRIMARY KEY (order_id, kind, fact_id)
);

-- The pieces of the releases of lines, of which a confirmation that is heard later must know.
CREATE TABLE given_up (
	shop       TEXT   NOT NULL,
	order_id   TEXT   NOT NULL,
	release_id TEXT   NOT NULL,
	sku        TEXT   NOT NULL,
	quantity   BIGINT NOT NULL CHECK (quantity > 0),
	PRIMARY KEY (order_id, release_id, sku)
);
