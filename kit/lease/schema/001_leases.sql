-- Who alone does what of the room's work. Times are microseconds since 1970 in UTC.
CREATE TABLE leases (
	name       TEXT   NOT NULL PRIMARY KEY,
	owner      TEXT   NOT NULL, -- '': nobody
	epoch      BIGINT NOT NULL, -- rises whenever the lease is taken, for ever
	expires_at BIGINT NOT NULL
);
