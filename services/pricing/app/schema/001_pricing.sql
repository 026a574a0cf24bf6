-- Ways of selling.
CREATE TABLE channels (
	shop            TEXT    NOT NULL,
	id              TEXT    NOT NULL,
	currency        TEXT    NOT NULL,
	tax_inclusive   INTEGER NOT NULL CHECK (tax_inclusive IN (0, 1)),
	default_country TEXT    NOT NULL,
	PRIMARY KEY (shop, id)
);

-- What each SKU costs in each channel; times in microseconds since 1970, 0 is no bound.
CREATE TABLE prices (
	shop        TEXT   NOT NULL,
	channel     TEXT   NOT NULL,
	sku         TEXT   NOT NULL,
	minor       BIGINT NOT NULL CHECK (minor >= 0),
	currency    TEXT   NOT NULL,
	valid_from  BIGINT NOT NULL,
	valid_until BIGINT NOT NULL,
	revision    BIGINT NOT NULL CHECK (revision > 0),
	PRIMARY KEY (shop, channel, sku)
);

-- The tax of each class in each country, in millionths.
CREATE TABLE tax_rates (
	shop    TEXT   NOT NULL,
	country TEXT   NOT NULL,
	class   TEXT   NOT NULL,
	rate    BIGINT NOT NULL CHECK (rate >= 0),
	PRIMARY KEY (shop, country, class)
);
