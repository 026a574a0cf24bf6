package eventlog_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func cpu() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkRoom is what a room does for a command: look a row up in a View, then read, change and append in an Update.
// cpu-µs/op counts the whole process, kernel too.
func BenchmarkRoom(b *testing.B) {
	for name, callers := range map[string]int{"1 caller": 1, "8 callers": 8, "64 callers": 64} {
		b.Run(name, func(b *testing.B) { benchmarkRoom(b, callers) })
	}
}

func benchmarkRoom(b *testing.B, callers int) {
	rows := sqlstore.Schema{Name: "rows", Files: fstest.MapFS{
		"001_rows.sql": {Data: []byte("CREATE TABLE entries (id TEXT PRIMARY KEY, state TEXT NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL)")},
	}}
	store, err := sqlstore.Open(b.Context(), filepath.Join(b.TempDir(), "room.db"),
		sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema(), rows}})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	log, err := eventlog.New(store)
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	began := cpu()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := command(b, store, log, fmt.Sprintf("ord_%08d", n)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpu()-began).Microseconds())/float64(b.N), "cpu-µs/op")
}

func command(b *testing.B, store *sqlstore.Store, log *eventlog.Log, id string) error {
	look := func(tx sqlstore.Tx) error {
		var state string
		var n int64
		if err := tx.QueryRow("SELECT state, n FROM entries WHERE id = ?", id).Scan(&state, &n); err != sqlstore.ErrNoRows {
			return err
		}
		return nil
	}
	if err := store.View(b.Context(), look); err != nil {
		return err
	}
	data := make([]byte, 300)
	event := eventlog.Event{Type: "OrderPlaced", Schema: 1, Data: data, Meta: eventlog.Meta{
		Shop: "main", Actor: "bearer:crt_000001", Correlation: "req_000001", Time: time.Now(),
	}}
	return store.Update(b.Context(), func(tx sqlstore.Tx) error {
		if err := look(tx); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO entries (id, state, n, body) VALUES (?, ?, ?, ?)", id, "new", 1, data); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE entries SET state = ?, n = n + 1 WHERE id = ?", "placed", id); err != nil {
			return err
		}
		_, err := log.Append(tx, id, 0, event, event)
		return err
	})
}
