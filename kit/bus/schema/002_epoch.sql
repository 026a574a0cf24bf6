-- Rises whenever another process becomes the one that delivers, or an operator ends a letter: whoever read the inbox
-- before that reads it again before it settles anything more.
ALTER TABLE bus_inbox ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
