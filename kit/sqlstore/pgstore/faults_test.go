package pgstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

var entries = sqlstore.Schema{Name: "entries", Files: fstest.MapFS{
	"001_entries.sql": {Data: []byte("CREATE TABLE entries (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")},
}}

func insert(id int64) func(sqlstore.Tx) error {
	return func(tx sqlstore.Tx) error {
		_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?)", id, "what an entry says")
		return err
	}
}

func count(t *testing.T, store *sqlstore.Store, where string, args ...any) (n int) {
	t.Helper()
	err := store.View(t.Context(), func(tx sqlstore.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM entries WHERE "+where, args...).Scan(&n)
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// hangUp has the server cut off all connections to a database but psql's own.
func hangUp(t *testing.T, url string) {
	t.Helper()
	const cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	if _, err := enginetest.Run(t.Context(), "psql", "--quiet", "--command="+cut, url); err != nil {
		t.Fatal(err)
	}
}

func TestAnUpdateWhoseConnectionIsCutOffRunsAgain(t *testing.T) {
	url := enginetest.Database(t)
	store := mustOpen(t, url, entries)
	defer store.Close()
	runs := 0
	err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
		runs++
		if err := insert(1)(tx); err != nil {
			return err
		}
		if runs == 1 {
			hangUp(t, url)
		}
		return insert(2)(tx)
	})
	if err != nil || runs != 2 || count(t, store, "id > 0") != 2 {
		t.Errorf("%d runs, %d rows, %v", runs, count(t, store, "id > 0"), err)
	}
}

func TestIdleConnectionsThatWereCutOffAreReplacedUnseen(t *testing.T) {
	url := enginetest.Database(t)
	store := mustOpen(t, url, entries)
	defer store.Close()
	for id := range int64(3) {
		if err := store.Update(t.Context(), insert(id)); err != nil {
			t.Fatal(err)
		}
		if n := count(t, store, "id >= ?", 0); n != int(id+1) {
			t.Errorf("%d rows of %d", n, id+1)
		}
		hangUp(t, url)
	}
}

func TestAViewThatIsCutOffSaysSo(t *testing.T) {
	url := enginetest.Database(t)
	store := mustOpen(t, url, entries)
	defer store.Close()
	err := store.View(t.Context(), func(tx sqlstore.Tx) error {
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM entries").Scan(&n); err != nil {
			return err
		}
		hangUp(t, url)
		return tx.QueryRow("SELECT count(*) FROM entries").Scan(&n)
	})
	if !problem.Is(err, "storage_unavailable") {
		t.Errorf("got %v", err)
	}
	if n := count(t, store, "true"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// acknowledging keeps writing through several stores and remembers what was acknowledged.
type acknowledging struct {
	mu     sync.Mutex
	ids    []int64
	next   atomic.Int64
	failed atomic.Int64
	over   atomic.Bool
	group  sync.WaitGroup
}

func (a *acknowledging) write(t *testing.T, store *sqlstore.Store) {
	for !a.over.Load() {
		id := a.next.Add(1)
		switch err := store.Update(context.Background(), insert(id)); {
		case err == nil:
			a.mu.Lock()
			a.ids = append(a.ids, id)
			a.mu.Unlock()
		case problem.Is(err, "storage_unavailable"):
			a.failed.Add(1)
			time.Sleep(time.Millisecond)
		default:
			t.Errorf("row %d: %v", id, err)
			return
		}
	}
}

func (a *acknowledging) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}

// until waits for something that is bound to happen.
func until(t *testing.T, what string, true_ func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !true_(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + " did not happen within a minute")
		}
	}
}

// TestAKilledServerLosesNothingItAcknowledged kills the server thrice under two processes that write.
func TestAKilledServerLosesNothingItAcknowledged(t *testing.T) {
	server, err := engine.Postgres(t.Context(), t.TempDir(), engine.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	url, err := server.Database(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	stores := []*sqlstore.Store{mustOpen(t, url, entries), mustOpen(t, url, entries)}
	var a acknowledging
	for i := range 16 {
		a.group.Go(func() { a.write(t, stores[i%2]) })
	}
	for range 3 {
		before := a.count()
		until(t, "fifty acknowledgements", func() bool { return a.count() >= before+50 })
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		failed := a.failed.Load()
		until(t, "a failure of a store without a server", func() bool { return a.failed.Load() > failed })
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := a.count()
	until(t, "an acknowledgement after the last start", func() bool { return a.count() > before })
	a.over.Store(true)
	a.group.Wait()
	for _, id := range a.ids {
		if count(t, stores[0], "id = ?", id) != 1 {
			t.Errorf("row %d was acknowledged and is gone", id)
		}
	}
	t.Logf("%d rows acknowledged, all there; %d updates were refused meanwhile", len(a.ids), a.failed.Load())
	for _, store := range stores {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A server that no longer answers is given up; what waits on it is refused, and it is used again when it answers.
func TestAServerThatHangsIsGivenUp(t *testing.T) {
	server, err := engine.Postgres(t.Context(), t.TempDir(), engine.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	url, err := server.Database(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	store := mustOpen(t, url+"&statement_timeout=500&connect_timeout=1", entries)
	defer store.Close()
	if err := store.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), insert(2)); !problem.Is(err, "storage_unavailable") {
		t.Errorf("an update of a server that hangs: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := store.View(ctx, func(tx sqlstore.Tx) error { var n int; return tx.QueryRow("SELECT 1").Scan(&n) }); err == nil {
		t.Error("a view of a server that hangs was answered")
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	until(t, "an update of a server that answers again", func() bool { return store.Update(t.Context(), insert(3)) == nil })
	if n := count(t, store, "id = 1 OR id = 3"); n != 2 {
		t.Errorf("%d rows of those acknowledged", n)
	}
}

// A process that hangs in the middle of an update keeps the others out for as long as its bound, not for ever.
func TestAProcessThatHangsDoesNotKeepTheLock(t *testing.T) {
	url := enginetest.Database(t)
	hung := mustOpen(t, url+"&idle_in_transaction_session_timeout=200", entries)
	other := mustOpen(t, url, entries)
	defer other.Close()
	defer hung.Close()
	runs := 0
	err := hung.Update(t.Context(), func(tx sqlstore.Tx) error {
		runs++
		if err := insert(1)(tx); err != nil {
			return err
		}
		if runs > 1 {
			return nil
		}
		return other.Update(context.Background(), insert(2)) // waits until this transaction has been ended
	})
	if err != nil || runs != 2 || count(t, other, "id > 0") != 2 {
		t.Errorf("%d runs, %d rows, %v", runs, count(t, other, "id > 0"), err)
	}
}

func TestAUniqueKeyIsRefusedAndNobodyElseIsHarmed(t *testing.T) {
	registry := prometheus.NewRegistry()
	store, err := pgstore.Open(t.Context(), enginetest.Database(t), sqlstore.Options{
		Name: "test", Schemas: []sqlstore.Schema{entries}, Log: slog.New(slog.DiscardHandler), Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var wg sync.WaitGroup
	var twice, kept atomic.Int64
	for i := range int64(40) {
		wg.Go(func() {
			switch err := store.Update(t.Context(), insert(i/2)); {
			case err == nil:
				kept.Add(1)
			case sqlstore.IsUnique(err):
				twice.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if kept.Load() != 20 || twice.Load() != 20 || count(t, store, "true") != 20 {
		t.Errorf("%d kept, %d refused, %d rows", kept.Load(), twice.Load(), count(t, store, "true"))
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, f := range families {
		shown[f.GetName()] = true
	}
	for _, name := range []string{"souk_sqlstore_connections", "souk_sqlstore_connects_failed_total", "souk_sqlstore_reruns_total", "souk_sqlstore_commit_seconds"} {
		if !shown[name] {
			t.Errorf("%s is not shown; there are %v", name, shown)
		}
	}
}

// A function that goes on after a statement failed, and says that all is well, is not believed.
func TestAFailureThatIsPassedOverIsNotKept(t *testing.T) {
	store := mustOpen(t, enginetest.Database(t), entries)
	defer store.Close()
	if err := store.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
		if err := insert(2)(tx); err != nil {
			return err
		}
		if err := insert(1)(tx); !sqlstore.IsUnique(err) {
			return fmt.Errorf("the key was taken twice: %w", err)
		}
		_, _ = tx.Exec("UPDATE entries SET body = ?", "gone on")
		return nil
	})
	if !sqlstore.IsUnique(err) || count(t, store, "true") != 1 || count(t, store, "body = ?", "gone on") != 0 {
		t.Errorf("%v, and %d rows", err, count(t, store, "true"))
	}
}

// A view's statement ends on the server too when its caller leaves, and the connection is used again.
func TestAViewEndsWithItsCaller(t *testing.T) {
	url := enginetest.Database(t)
	store := mustOpen(t, url)
	defer store.Close()
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := store.View(ctx, func(tx sqlstore.Tx) error {
			var n int
			return tx.QueryRow("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n").Scan(&n)
		})
		cancel()
		if err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
	}
	until(t, "the end of the statements on the server", func() bool {
		var busy int
		err := store.View(t.Context(), func(tx sqlstore.Tx) error {
			return tx.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH RECURSIVE%' AND state = 'active'").Scan(&busy)
		})
		return err == nil && busy == 0
	})
}

// Tables that another process has changed are read with new plans.
func TestStatementsOutliveAMigrationByAnotherProcess(t *testing.T) {
	url := enginetest.Database(t)
	old := mustOpen(t, url, entries)
	defer old.Close()
	all := func(tx sqlstore.Tx) error {
		rows, err := tx.Query("SELECT * FROM entries")
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		return rows.Err()
	}
	if err := old.Update(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	newer := sqlstore.Schema{Name: "entries", Files: fstest.MapFS{
		"001_entries.sql": {Data: []byte("CREATE TABLE entries (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")},
		"002_more.sql":    {Data: []byte("ALTER TABLE entries ADD COLUMN more TEXT NOT NULL DEFAULT ''")},
	}}
	_ = mustOpen(t, url, newer).Close()
	if err := old.Update(t.Context(), all); err != nil {
		t.Error(err)
	}
}
