-- Steps that were undone before they were done: the command that arrives later is refused.
CREATE TABLE saga_tombstones (
	run  TEXT NOT NULL,
	step TEXT NOT NULL,
	PRIMARY KEY (run, step)
);
