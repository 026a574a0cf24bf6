-- Idempotency keys and what came of the commands that they name.
CREATE TABLE idem_keys (
	shop       TEXT    NOT NULL,
	principal  TEXT    NOT NULL, -- kind:id
	method     TEXT    NOT NULL,
	key        TEXT    NOT NULL,
	digest     BLOB    NOT NULL, -- SHA-256 of the client's own bytes
	ref        TEXT    NOT NULL, -- what the key is bound to, such as an order's id
	done       INTEGER NOT NULL, -- 1: the answer is final
	answer     BLOB    NOT NULL,
	claimed_at INTEGER NOT NULL, -- microseconds since 1970, UTC
	PRIMARY KEY (shop, principal, method, key)
);
CREATE INDEX idem_keys_by_ref ON idem_keys (ref, method);
CREATE INDEX idem_keys_by_age ON idem_keys (claimed_at);
