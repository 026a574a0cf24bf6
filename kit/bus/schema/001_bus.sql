-- How far each consumer has come in each source: every position up to low is settled.
CREATE TABLE bus_inbox (
	consumer TEXT   NOT NULL,
	source   TEXT   NOT NULL,
	low      BIGINT NOT NULL,
	PRIMARY KEY (consumer, source)
);

-- The positions above low that are settled already.
CREATE TABLE bus_ahead (
	consumer TEXT   NOT NULL,
	source   TEXT   NOT NULL,
	position BIGINT NOT NULL,
	PRIMARY KEY (consumer, source, position)
);

-- The events that failed for good, and those of their keys that came after them.
CREATE TABLE bus_letters (
	consumer TEXT   NOT NULL,
	position BIGINT NOT NULL,
	source   TEXT   NOT NULL,
	type     TEXT   NOT NULL,
	subject  TEXT   NOT NULL,
	prev     BIGINT NOT NULL,
	time     BIGINT NOT NULL,
	data     BLOB   NOT NULL,
	meta     TEXT   NOT NULL,
	attempts BIGINT NOT NULL,
	reason   TEXT   NOT NULL,
	since    BIGINT NOT NULL,
	PRIMARY KEY (consumer, position)
);
CREATE INDEX bus_letters_by_key ON bus_letters (consumer, subject, position);

-- What operators did to letters: who, why, when.
CREATE TABLE bus_acts (
	consumer TEXT   NOT NULL,
	position BIGINT NOT NULL,
	time     BIGINT NOT NULL,
	action   TEXT   NOT NULL,
	actor    TEXT   NOT NULL,
	reason   TEXT   NOT NULL,
	PRIMARY KEY (consumer, position, time, action)
);
