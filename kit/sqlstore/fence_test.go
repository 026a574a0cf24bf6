package sqlstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

func add(ctx context.Context, store *sqlstore.Store, id int) error {
	return store.Update(ctx, func(tx sqlstore.Tx) error {
		_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?)", id, "x")
		return err
	})
}

func entries(t *testing.T, store *sqlstore.Store) (n int) {
	t.Helper()
	if err := store.View(t.Context(), func(tx sqlstore.Tx) error { return tx.QueryRow("SELECT COUNT(*) FROM entries").Scan(&n) }); err != nil {
		t.Error(err)
	}
	return n
}

func fence(t *testing.T, store *sqlstore.Store, most time.Duration) *sqlstore.Fence {
	t.Helper()
	f, err := store.Fence(t.Context(), most)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFenceHoldsUpdatesAndLetsThemGoOn(t *testing.T) {
	store := mustOpen(t, t.TempDir()+"/a.db", benchSchema)
	defer store.Close()
	f := fence(t, store, time.Minute)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if err := add(context.Background(), store, 1); err != nil {
			t.Error(err)
		}
	})
	bound, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := add(bound, store, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an update whose caller leaves: %v", err)
	}
	if _, err := store.Fence(bound, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second fence: %v", err)
	}
	if n := entries(t, store); n != 0 {
		t.Errorf("%d updates passed the fence", n)
	}
	f.Release()
	f.Release()
	waiting.Wait()
	if n := entries(t, store); n != 1 {
		t.Errorf("%d updates went on after the fence", n)
	}
}

func TestAFenceFallsOfItself(t *testing.T) {
	store := mustOpen(t, t.TempDir()+"/a.db", benchSchema)
	defer store.Close()
	f := fence(t, store, time.Millisecond)
	if err := add(t.Context(), store, 1); err != nil { // waits for the fall
		t.Fatal(err)
	}
	if f.Held() || !errors.Is(f.Keep(), sqlstore.ErrFence) || !errors.Is(f.Swap(store), sqlstore.ErrFence) {
		t.Error("a fence that has fallen is believed to stand")
	}
}

func TestASwapIsNotNoticed(t *testing.T) {
	registry := prometheus.NewRegistry()
	dir := t.TempDir()
	open := func(name string) *sqlstore.Store {
		store, err := sqlstore.Open(t.Context(), dir+"/"+name, sqlstore.Options{Schemas: []sqlstore.Schema{benchSchema}, Registerer: registry})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store, other := open("a.db"), open("b.db")
	defer store.Close()
	var undone [2]uint64
	note := func(i int) {
		if err := store.Update(t.Context(), func(tx sqlstore.Tx) error { undone[i], _ = sqlstore.Undone(tx); return nil }); err != nil {
			t.Error(err)
		}
	}
	note(0)
	reading, read := make(chan struct{}), make(chan struct{})
	go func() { // a view that began before goes on
		defer close(read)
		_ = store.View(context.Background(), func(tx sqlstore.Tx) error {
			close(reading)
			time.Sleep(10 * time.Millisecond)
			var n int
			return tx.QueryRow("SELECT COUNT(*) FROM entries").Scan(&n)
		})
	}()
	<-reading
	f := fence(t, store, time.Minute)
	if err := f.Swap(other); err != nil {
		t.Fatal(err)
	}
	f.Release()
	if err := other.Close(); err != nil { // waits for the view
		t.Error(err)
	}
	<-read
	note(1)
	if undone[0] == undone[1] {
		t.Error("what was learnt from one database is taken for another's")
	}
	if err := add(t.Context(), store, 1); err != nil || entries(t, store) != 1 {
		t.Errorf("an update after the swap: %v", err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) == 0 {
		t.Errorf("the metrics are gone after a swap: %v %v", families, err)
	}
}

func TestASnapshotStaysAndKeepsNoViewOut(t *testing.T) {
	store := mustOpen(t, t.TempDir()+"/a.db", benchSchema)
	defer store.Close()
	err := store.Snapshot(t.Context(), func(tx sqlstore.Tx) error {
		for id := range sqlstore.ReadersDefault + 1 {
			if err := add(context.Background(), store, id); err != nil {
				return err
			}
		}
		if n := entries(t, store); n != sqlstore.ReadersDefault+1 {
			t.Errorf("a view beside it sees %d", n)
		}
		var n int
		if err := tx.QueryRow("SELECT COUNT(*) FROM entries").Scan(&n); err != nil || n != 0 {
			t.Errorf("the snapshot sees %d, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
