-- The people behind carts and orders.
CREATE TABLE subjects (
	shop       TEXT   NOT NULL,
	id         TEXT   PRIMARY KEY,
	name       TEXT   NOT NULL, -- '' when it is not known
	email      TEXT   NOT NULL, -- '' when it is not known: no mail is sent
	address_id TEXT   NOT NULL, -- the address row that was given last, '' for none
	country    TEXT   NOT NULL, -- its country, or the one that was given without an address
	made_at    BIGINT NOT NULL
);
CREATE INDEX subjects_by_email ON subjects (lower(email), shop, id);

-- Where their parcels went or go. A row never changes: orders name it.
CREATE TABLE addresses (
	shop        TEXT   NOT NULL,
	id          TEXT   PRIMARY KEY,
	subject_id  TEXT   NOT NULL,
	digest      TEXT   NOT NULL, -- of all that follows and the subject, hexadecimal
	name        TEXT   NOT NULL,
	lines       TEXT   NOT NULL, -- one a line
	city        TEXT   NOT NULL,
	region      TEXT   NOT NULL,
	postal_code TEXT   NOT NULL,
	country     TEXT   NOT NULL,
	phone       TEXT   NOT NULL,
	made_at     BIGINT NOT NULL
);
CREATE INDEX addresses_of_subject ON addresses (subject_id);

-- Ids of subjects that were erased: nothing of the person, so that the id is not given life again.
CREATE TABLE erased (
	shop       TEXT   NOT NULL,
	subject_id TEXT   PRIMARY KEY,
	erased_at  BIGINT NOT NULL
);
