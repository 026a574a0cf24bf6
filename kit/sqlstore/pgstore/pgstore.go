// Package pgstore is kit/sqlstore on PostgreSQL: the same groups, savepoints, readers and migrations, on connections of
// this package. Each room has a schema of its own, named after it, so that rooms may share a server or have one each.
//
//	Open → schema made and migrated → View / Update … → Close
//
// The updates of a process share commits as on SQLite, one transaction at a time. Those of several processes take turns:
// each transaction begins with LOCK TABLE souk_writer, before its snapshot, and is SERIALIZABLE besides, against writers
// who do not know of the lock. So a log's positions have no gaps, and whoever holds the lock sees all that was committed
// before. The one row of souk_writer names the process that committed last: one that finds another's name there forgets
// what it remembers of the database.
package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// readersDefault is Options.Readers here: more than over a file, for a view mostly waits for the network.
const readersDefault = 4

// Open opens the schema named o.Name in the database at url, making the schema if need be, and migrates it. The url is
// postgres://user:password@host:5432/database?sslmode=…; its other parameters are settings of the session, of which
// search_path names another schema. No error tells the password.
func Open(ctx context.Context, url string, o sqlstore.Options) (*sqlstore.Store, error) {
	if o.Readers <= 0 {
		o.Readers = readersDefault
	}
	o = o.WithDefaults()
	d, err := newDatabase(url, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", o.Name, err)
	}
	if _, err := d.migrate(ctx, o.Schemas); err != nil {
		return nil, fmt.Errorf("open store %s on %s: %w", o.Name, d, err)
	}
	w, err := d.openWriter(ctx)
	if err != nil {
		return nil, fmt.Errorf("open store %s on %s: %w", o.Name, d, err)
	}
	l := newListener(d)
	d.statistics = newStatistics(d)
	store, err := sqlstore.NewStore(o, sqlstore.Backend{
		Writer:  w,
		Reader:  d.openReader,
		Long:    d.openLong,
		Metrics: []prometheus.Collector{d.connections, d.refused},
		Listen:  l.listen,
		Last:    d.last,
		Close: func() error {
			d.statistics.close()
			return l.close()
		},
	})
	if err != nil {
		d.statistics.close()
		return nil, errors.Join(fmt.Errorf("open store %s on %s: %w", o.Name, d, err), w.Close())
	}
	return store, nil
}

// Migrate makes the schema if need be, brings it to the version that this build knows, and returns what it did. Open
// does the same. Two processes may do so at once: the second waits for the first.
func Migrate(ctx context.Context, url string, o sqlstore.Options) (done []sqlstore.Migration, err error) {
	o = o.WithDefaults()
	d, err := newDatabase(url, o)
	if err != nil {
		return nil, fmt.Errorf("migrate %s: %w", o.Name, err)
	}
	if done, err = d.migrate(ctx, o.Schemas); err != nil {
		return done, fmt.Errorf("migrate %s on %s: %w", o.Name, d, err)
	}
	return done, nil
}

// Plan lists every migration that this build knows, and whether the database has it. It changes nothing.
func Plan(ctx context.Context, url string, o sqlstore.Options) (plan []sqlstore.Migration, err error) {
	o = o.WithDefaults()
	d, err := newDatabase(url, o)
	if err != nil {
		return nil, fmt.Errorf("read the migrations of %s: %w", o.Name, err)
	}
	if plan, err = d.plan(ctx, o.Schemas); err != nil {
		return nil, fmt.Errorf("read the migrations of %s on %s: %w", o.Name, d, err)
	}
	return plan, nil
}
