package faultstore_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/faultstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

var schema = sqlstore.Schema{Name: "test", Files: fstest.MapFS{
	"001_rows.sql": {Data: []byte("CREATE TABLE entries (id INTEGER PRIMARY KEY)")},
}}

func open(t *testing.T, faults faultstore.Options, schemas ...sqlstore.Schema) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "faults.db"),
		sqlstore.Options{Schemas: schemas, Wrap: faultstore.Wrap(faults), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestDelayedStoreIsStillAStore(t *testing.T) {
	sqlstoretest.Run(t, sqlstoretest.Harness{
		Why: "the driver beneath is tried on a full disk by its own test",
		Open: func(t *testing.T, schemas ...sqlstore.Schema) *sqlstore.Store {
			return open(t, faultstore.Options{Seed: 1, DelayMax: 100 * time.Microsecond}, schemas...)
		},
	})
}

func TestFaults(t *testing.T) {
	cases := []struct {
		name   string
		faults faultstore.Options
		failed bool
		ran    int
		rows   int
	}{
		{"an update that fails has not run", faultstore.Options{Fail: 1}, true, 0, 0},
		{"an update whose acknowledgement is lost is there", faultstore.Options{Lose: 1}, true, 1, 1},
		{"a function that runs twice has one effect", faultstore.Options{Twice: 1}, false, 2, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			store := open(t, c.faults, schema)
			defer store.Close()
			ran, rows := 0, 0
			err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
				ran++
				_, err := tx.Exec("INSERT INTO entries (id) VALUES (?)", 1)
				return err
			})
			if problem.Is(err, "storage_unavailable") != c.failed || ran != c.ran {
				t.Errorf("ran %d times, error %v", ran, err)
			}
			err = store.View(t.Context(), func(tx sqlstore.Tx) error {
				return tx.QueryRow("SELECT count(*) FROM entries").Scan(&rows)
			})
			if err != nil || rows != c.rows {
				t.Errorf("%d rows of %d, %v", rows, c.rows, err)
			}
		})
	}
}
