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
	revision        BIGINT  NOT NULL CHECK (revision >= 0),
	PRIMARY KEY (shop, sku)
);

-- available = on_hand - held - allocated; it has no CHECK, as a count, a write-off or a backorder may take it below zero.
CREATE TABLE levels (
	shop        TEXT    NOT NULL,
	sku         TEXT    NOT NULL,
	location_id TEXT    NOT NULL,
	on_hand     BIGINT  NOT NULL,
	held        BIGINT  NOT NULL CHECK (held >= 0),
	allocated   BIGINT  NOT NULL CHECK (allocated >= 0),
	known       INTEGER NOT NULL CHECK (known IN (0, 1)), -- something was received or counted here
	PRIMARY KEY (shop, sku, location_id)
);

-- The ledger: on_hand = the sum of delta.
CREATE TABLE movements (
	shop        TEXT    NOT NULL,
	id          TEXT    NOT NULL, -- in the order of time
	sku         TEXT    NOT NULL,
	location_id TEXT    NOT NULL,
	kind        TEXT    NOT NULL CHECK (kind IN ('received', 'adjusted', 'written_off', 'shipped', 'returned')),
	delta       BIGINT  NOT NULL CHECK (delta <> 0),
	short       BIGINT  NOT NULL CHECK (short >= 0), -- promised pieces that it took away
	reason      TEXT    NOT NULL,
	actor       TEXT    NOT NULL,
	at          BIGINT  NOT NULL,
	PRIMARY KEY (shop, sku, id)
);

-- What each run of each order was promised. 'canceled' is the tombstone of a release that came first.
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
	PRIMARY KEY (order_id, run_id, sku, location_id)
);
