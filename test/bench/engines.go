package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/seed-21071466/souk/kit/engine"
)

// engines are the servers that the placements share, and how a placement finds them.
type engines struct {
	postgres *engine.PostgresServer
	nats     *engine.NATSServer
	redis    *engine.RedisServer
}

// enginePrograms are the programs of engines, as the kernel names them.
var enginePrograms = []string{"postgres", "natsd", "redis-server"}

// connectionsMax lets three shops and the bare program be there at once.
const connectionsMax = "400"

func startEngines(ctx context.Context, dir string) (e *engines, err error) {
	e = &engines{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	settings := map[string]string{"max_connections": connectionsMax}
	if e.postgres, err = engine.Postgres(ctx, filepath.Join(dir, "postgres"), engine.PostgresOptions{Settings: settings}); err != nil {
		return e, err
	}
	if e.nats, err = engine.NATS(ctx, filepath.Join(dir, "nats"), engine.NATSOptions{}); err != nil {
		return e, err
	}
	e.redis, err = engine.Redis(ctx, filepath.Join(dir, "redis"), engine.RedisOptions{})
	return e, err
}

func (e *engines) close() error {
	var errs []error
	if e.nats != nil {
		errs = append(errs, e.nats.Close())
	}
	if e.redis != nil {
		errs = append(errs, e.redis.Close())
	}
	if e.postgres != nil {
		errs = append(errs, e.postgres.Close())
	}
	return errors.Join(errs...)
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
