-- How far each projection has come, and which version of it made the rows.
CREATE TABLE projection_checkpoint (
	name     TEXT   NOT NULL PRIMARY KEY,
	version  BIGINT NOT NULL,
	position BIGINT NOT NULL
);
