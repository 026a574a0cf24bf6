package eventlog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/eventlog/logtest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(enginetest.Main{M: m}) }

func open(ctx context.Context, path string) (*sqlstore.Store, error) {
	return sqlstore.Open(ctx, path, sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
}

func TestSQLite(t *testing.T) {
	newPath := func(t *testing.T) string { return filepath.Join(t.TempDir(), "log.db") }
	logtest.Run(t, newPath, func(t *testing.T, path string) *sqlstore.Store {
		store, err := open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}

// A decision is safe because it says which version it was made on.
func Example() {
	dir, _ := os.MkdirTemp("", "eventlog")
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := open(ctx, filepath.Join(dir, "library.db"))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	log, err := eventlog.New(store)
	if err != nil {
		panic(err)
	}
	lend := func(tx sqlstore.Tx) error {
		_, err := log.Append(tx, "book_1", 0, eventlog.Event{Type: "Lent", Schema: 1, Meta: eventlog.Meta{Time: time.Now()}})
		return err
	}
	fmt.Println(store.Update(ctx, lend))
	fmt.Println(store.Update(ctx, lend))
	events, _ := log.After(ctx, 0, 10)
	fmt.Println(len(events), events[0].Type, log.Head())
	// Output:
	// <nil>
	// append to book_1: expected version 0, is at 1
	// 1 Lent 1
}

// BenchmarkAppend is one durable event an op, from 64 callers.
func BenchmarkAppend(b *testing.B) {
	store, err := open(b.Context(), filepath.Join(b.TempDir(), "log.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	log, err := eventlog.New(store)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 300)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for id := next.Add(1); id <= int64(b.N); id = next.Add(1) {
				err := store.Update(b.Context(), func(tx sqlstore.Tx) error {
					_, err := log.Append(tx, fmt.Sprintf("ord_%06d", id), 0, eventlog.Event{
						Type: "OrderPlaced", Schema: 1, Data: data,
						Meta: eventlog.Meta{Shop: "main", Actor: "bearer:crt_000001", Correlation: "req_000001", Time: time.Now()},
					})
					return err
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
