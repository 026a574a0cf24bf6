-- Every fact of this store, in one order and in the order of its stream.
CREATE TABLE events (
	position     INTEGER PRIMARY KEY, -- contiguous from 1
	stream       TEXT    NOT NULL,
	version      INTEGER NOT NULL,    -- in the stream, contiguous from 1
	prev         INTEGER NOT NULL,    -- position of the stream's previous event, 0 for its first
	type         TEXT    NOT NULL,
	schema       INTEGER NOT NULL,    -- version of the data's shape
	data         BLOB    NOT NULL,
	time         INTEGER NOT NULL,    -- microseconds since 1970, UTC
	shop         TEXT    NOT NULL,
	actor        TEXT    NOT NULL,    -- kind:id
	on_behalf_of TEXT    NOT NULL,
	reason       TEXT    NOT NULL,
	correlation  TEXT    NOT NULL,
	causation    TEXT    NOT NULL,
	trace        TEXT    NOT NULL
);
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);
