package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/seed-21071466/souk/deploy/split/fleet"
	"github.com/seed-21071466/souk/kit/engine"
)

// enginePrograms are the programs of engines, as the kernel names them.
var enginePrograms = []string{"postgres", "natsd", "redis-server"}

// connectionsMax lets three shops and the bare program be there at once.
const connectionsMax = "400"

// startEngines starts the servers that the placements share.
func startEngines(ctx context.Context, dir string) (*fleet.Engines, error) {
	return fleet.StartEngines(ctx, dir, engine.PostgresOptions{Settings: map[string]string{"max_connections": connectionsMax}}, nil)
}

// serverCounts is what a database has counted so far.
type serverCounts struct {
	commits float64 // of its transactions that wrote, and of the few that read outside of one
	syncs   float64 // of the whole server's log: commits that come together share one
	rows    float64 // inserted, changed and deleted
}

// counts asks a database; a server tells what its connections have counted a second later at most.
func counts(ctx context.Context, database string) (c serverCounts, err error) {
	if database == "" {
		return c, nil
	}
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		return c, fmt.Errorf("ask the database for its counts: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close(context.WithoutCancel(ctx))) }()
	err = db.QueryRow(ctx, `SELECT d.xact_commit, w.wal_sync, d.tup_inserted + d.tup_updated + d.tup_deleted
		FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()`).Scan(&c.commits, &c.syncs, &c.rows)
	return c, err
}
