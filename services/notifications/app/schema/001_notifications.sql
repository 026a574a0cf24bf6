-- Mails to subjects: what they are about, never their text, a name or an address. Ids begin with the event's time, so
-- their order is that of time. due_at is 0 unless the mail is pending; times are microseconds UTC.
CREATE TABLE mails (
	shop       TEXT    NOT NULL,
	id         TEXT    NOT NULL,
	kind       TEXT    NOT NULL,
	order_id   TEXT    NOT NULL,
	subject_id TEXT    NOT NULL,
	facts      BLOB    NOT NULL,
	state      TEXT    NOT NULL,
	attempts   INTEGER NOT NULL,
	asks       INTEGER NOT NULL,
	last_error TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	sent_at    INTEGER NOT NULL,
	due_at     INTEGER NOT NULL,
	PRIMARY KEY (shop, id)
);
CREATE INDEX mails_by_state ON mails (shop, state, due_at, id);
CREATE INDEX mails_by_order ON mails (shop, order_id, id);
CREATE INDEX mails_by_subject ON mails (shop, subject_id, id);

-- Who is told. events are separated by spaces, all when there are none.
CREATE TABLE endpoints (
	shop       TEXT    NOT NULL,
	id         TEXT    NOT NULL,
	url        TEXT    NOT NULL,
	events     TEXT    NOT NULL,
	disabled   INTEGER NOT NULL,
	secret     BLOB    NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (shop, id)
);

-- What they are told. body is what is signed and posted, the same bytes at each attempt.
CREATE TABLE deliveries (
	shop         TEXT    NOT NULL,
	id           TEXT    NOT NULL,
	endpoint_id  TEXT    NOT NULL,
	message_id   TEXT    NOT NULL,
	event        TEXT    NOT NULL,
	order_id     TEXT    NOT NULL,
	body         BLOB    NOT NULL,
	state        TEXT    NOT NULL,
	attempts     INTEGER NOT NULL,
	last_status  INTEGER NOT NULL,
	last_error   TEXT    NOT NULL,
	created_at   INTEGER NOT NULL,
	delivered_at INTEGER NOT NULL,
	due_at       INTEGER NOT NULL,
	PRIMARY KEY (shop, id)
);
CREATE INDEX deliveries_due ON deliveries (shop, endpoint_id, due_at, id) WHERE due_at > 0;
CREATE INDEX deliveries_by_endpoint ON deliveries (shop, endpoint_id, id);
CREATE INDEX deliveries_by_state ON deliveries (shop, state, id);
