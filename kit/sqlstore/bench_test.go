package sqlstore_test

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

var benchSchema = sqlstore.Schema{Name: "bench", Files: fstest.MapFS{
	"001_rows.sql": {Data: []byte("CREATE TABLE entries (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")},
}}

func openBench(b *testing.B) *sqlstore.Store {
	store, err := sqlstore.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), sqlstore.Options{
		Schemas: []sqlstore.Schema{benchSchema},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store
}

func cpu() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkUpdate is one durable insert an op; cpu-µs/op counts the whole process, kernel too.
func BenchmarkUpdate(b *testing.B) {
	for name, callers := range map[string]int{"1 caller": 1, "64 callers": 64} {
		b.Run(name, func(b *testing.B) {
			store := openBench(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			began := cpu()
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for id := next.Add(1); id <= int64(b.N); id = next.Add(1) {
						err := store.Update(b.Context(), func(tx sqlstore.Tx) error {
							_, err := tx.Exec("INSERT INTO entries (id, body) VALUES (?, ?)", id, "what an entry says")
							return err
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64((cpu()-began).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// BenchmarkView is one row by its key.
func BenchmarkView(b *testing.B) {
	store := openBench(b)
	b.ReportAllocs()
	for b.Loop() {
		err := store.View(b.Context(), func(tx sqlstore.Tx) error {
			var n int64
			return tx.QueryRow("SELECT count(*) FROM entries WHERE id = ?", 1).Scan(&n)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
