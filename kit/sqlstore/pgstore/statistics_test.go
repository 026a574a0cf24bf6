package pgstore_test

import (
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// A table that has grown is planned by what is in it, long before autovacuum comes by.
func TestATableThatGrowsIsAnalyzed(t *testing.T) {
	store := mustOpen(t, enginetest.Database(t), entries)
	defer store.Close()
	known := func() (tables string) {
		err := store.View(t.Context(), func(tx sqlstore.Tx) error {
			return tx.QueryRow(`SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class
				WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND reltuples > 0`).Scan(&tables)
		})
		if err != nil {
			t.Fatal(err)
		}
		return tables
	}
	if tables := known(); tables != "" {
		t.Errorf("analyzed before there is anything: %s", tables)
	}
	body := strings.Repeat("page ", 200)
	for id := range 200 {
		err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
			_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?)", id, body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	until(t, "an analysis", func() bool { return known() == "entries" }) // and not of souk_writer, which waits for its lock
}
