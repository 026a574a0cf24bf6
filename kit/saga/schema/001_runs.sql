-- One row a run of a saga. Times are microseconds since 1970 in UTC, 0 for none.
CREATE TABLE saga_runs (
	id         TEXT    NOT NULL PRIMARY KEY,
	saga       TEXT    NOT NULL,
	version    INTEGER NOT NULL,
	state      TEXT    NOT NULL,
	resume     TEXT    NOT NULL,
	step       TEXT    NOT NULL,
	attempt    INTEGER NOT NULL,
	next_at    BIGINT  NOT NULL,
	epoch      BIGINT  NOT NULL,
	owner      TEXT    NOT NULL,
	last_error TEXT    NOT NULL,
	started_at BIGINT  NOT NULL,
	ended_at   BIGINT  NOT NULL
);

-- Only what is under way is looked for by time, so that ended runs cost nothing.
CREATE INDEX saga_runs_due ON saga_runs (next_at) WHERE state IN ('running', 'compensating');

-- What an operator lists and a scrape counts.
CREATE INDEX saga_runs_open ON saga_runs (state, id) WHERE state IN ('running', 'compensating', 'parked');

-- What the sweep removes.
CREATE INDEX saga_runs_ended ON saga_runs (ended_at) WHERE state IN ('done', 'abandoned');

-- Who changed a run's course, and why.
CREATE TABLE saga_audit (
	run          TEXT    NOT NULL,
	seq          INTEGER NOT NULL,
	at           BIGINT  NOT NULL,
	actor        TEXT    NOT NULL,
	action       TEXT    NOT NULL,
	reason       TEXT    NOT NULL,
	step         TEXT    NOT NULL,
	state_before TEXT    NOT NULL,
	state_after  TEXT    NOT NULL,
	PRIMARY KEY (run, seq)
);
