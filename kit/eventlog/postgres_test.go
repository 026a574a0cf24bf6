package eventlog_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/eventlog/logtest"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

func openURL(t *testing.T, url string) *sqlstore.Store {
	t.Helper()
	store, err := pgstore.Open(t.Context(), url, sqlstore.Options{
		Name: "room", Schemas: []sqlstore.Schema{eventlog.Schema()}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func newURL(t *testing.T) string { return enginetest.Database(t) }

func TestPostgreSQL(t *testing.T) { logtest.Run(t, newURL, openURL) }

func TestProcessesOnPostgreSQL(t *testing.T) { logtest.RunShared(t, newURL, openURL) }

// notes appends a note to a stream of one log.
func notes(t *testing.T, store *sqlstore.Store, log *eventlog.Log, stream string) {
	t.Helper()
	err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
		_, err := log.Append(tx, stream, eventlog.Any, eventlog.Event{Type: "Noted", Schema: 1, Data: []byte("a note"), Meta: eventlog.Meta{Time: time.Now()}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func logOf(t *testing.T, store *sqlstore.Store) *eventlog.Log {
	t.Helper()
	log, err := eventlog.New(store)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestALogGoesOnWithoutAGapAfterDumpAndRestore(t *testing.T) {
	from, to := newURL(t), newURL(t)
	first := openURL(t, from)
	log := logOf(t, first)
	for _, stream := range []string{"a", "b", "a"} {
		notes(t, first, log, stream)
	}
	copyDatabase(t, from, to) // of a room that is open
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	restored := openURL(t, to)
	defer restored.Close()
	log = logOf(t, restored)
	if log.Head() != 3 {
		t.Fatalf("the head is %d after restoring", log.Head())
	}
	notes(t, restored, log, "a")
	events, err := log.After(t.Context(), 0, 10)
	if err != nil || len(events) != 4 || events[3].Position != 4 || events[3].Prev != 3 || string(events[0].Data) != "a note" {
		t.Errorf("read %v, %v", events, err)
	}
}

func copyDatabase(t *testing.T, from, to string) {
	t.Helper()
	dump := filepath.Join(t.TempDir(), "dump.sql")
	if _, err := enginetest.Run(t.Context(), "pg_dump", "--file="+dump, from); err != nil {
		t.Fatal(err)
	}
	if _, err := enginetest.Run(t.Context(), "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file="+dump, to); err != nil {
		t.Fatal(err)
	}
}

// A reader whose listening connection is cut off again and again still comes to the end.
func TestAHeadFollowsThoughNewsIsLost(t *testing.T) {
	url := newURL(t)
	writing, reading := openURL(t, url), openURL(t, url)
	defer writing.Close()
	defer reading.Close()
	log, follower := logOf(t, writing), logOf(t, reading)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := range int64(4) {
		const hangUp = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
		if _, err := enginetest.Run(ctx, "psql", "--quiet", "--command="+hangUp, url); err != nil {
			t.Fatal(err)
		}
		notes(t, writing, log, "a")
		if err := follower.Wait(ctx, n); err != nil {
			t.Fatalf("the head is %d of %d: %v", follower.Head(), n+1, err)
		}
	}
}
