package backup_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/backup"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/move"
)

var schema = sqlstore.Schema{Name: "backup_test", Files: fstest.MapFS{"001_tables.sql": {Data: []byte(`
	CREATE TABLE ticks (n INTEGER PRIMARY KEY);
	CREATE TABLE vals (id TEXT PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB);
`)}}}

func open(t testing.TB, name string) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), name+".db"), sqlstore.Options{Name: name, Schemas: []sqlstore.Schema{schema}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// elsewhere is a room that is asked over HTTP.
func elsewhere(t testing.TB, name string, store *sqlstore.Store) backup.Room {
	t.Helper()
	p := &backup.Peer{
		Rooms: func() []backup.Room { return []backup.Room{backup.Of(name, store, []sqlstore.Schema{schema})} },
		Clock: clock.System{}, Log: slog.New(slog.DiscardHandler),
	}
	server := httptest.NewServer(p.Handler())
	t.Cleanup(func() { p.Stop(); server.Close() })
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return backup.Elsewhere(name, base, http.DefaultTransport)
}

// ticks writes one number after the other, first to a, then to b: b never has one that a has not.
func ticks(t testing.TB, a, b *sqlstore.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			for _, store := range []*sqlstore.Store{a, b} {
				if err := store.Update(context.Background(), func(tx sqlstore.Tx) error {
					_, err := tx.Exec(`INSERT INTO ticks (n) VALUES (?)`, n)
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	return func() { cancel(); work.Wait() }
}

func TestAllRoomsAreOfOneMoment(t *testing.T) {
	a, b := open(t, "a"), open(t, "b")
	stop := ticks(t, a, b)
	defer stop()
	for range 20 {
		dir := t.TempDir()
		m, err := backup.Take(t.Context(), []backup.Room{
			backup.Of("a", a, []sqlstore.Schema{schema}), elsewhere(t, "b", b),
		}, backup.Folder(dir), backup.Options{})
		if err != nil {
			t.Fatal(err)
		}
		here, there := m.Rooms[0].Tables[0].Rows, m.Rooms[1].Tables[0].Rows
		if here != there && here != there+1 {
			t.Errorf("a has %d ticks and b %d", here, there)
		}
	}
}

func TestAHoldEndsOfItself(t *testing.T) {
	store := open(t, "a")
	for name, room := range map[string]backup.Room{"here": backup.Of("a", store, nil), "elsewhere": elsewhere(t, "a", store)} {
		t.Run(name, func(t *testing.T) {
			held, err := room.Hold(t.Context(), 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			defer held.Release()
			if err := store.Update(t.Context(), func(tx sqlstore.Tx) error { // it waits for the hold to end
				_, err := tx.Exec(`INSERT INTO ticks (n) VALUES (?)`, len(name))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if s, err := held.Begin(t.Context()); err == nil {
				_ = s.Close()
				t.Error("a snapshot was begun after the hold had ended")
			}
		})
	}
}

func TestEveryValueComesBack(t *testing.T) {
	from := open(t, "a")
	rows := [][]any{
		{"null", nil, nil, nil, nil},
		{"small", int64(math.MinInt64), math.SmallestNonzeroFloat64, "", []byte{}},
		{"large", int64(math.MaxInt64), math.Inf(1), "line\nbreak \"quoted\" <&> \u2028 ü", []byte{0, 255, 10}},
		{"odd", int64(0), math.Copysign(0, -1), "no \xff UTF-8", []byte("text")},
	}
	err := from.Update(t.Context(), func(tx sqlstore.Tx) error {
		for _, r := range rows {
			if _, err := tx.Exec(`INSERT INTO vals (id, i, r, t, b) VALUES (?, ?, ?, ?, ?)`, r...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := backup.Take(t.Context(), []backup.Room{backup.Of("a", from, []sqlstore.Schema{schema})}, backup.Folder(dir), backup.Options{}); err != nil {
		t.Fatal(err)
	}
	m, err := backup.ReadManifest(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "b.db")
	again := func(ctx context.Context, room string, schemas []sqlstore.Schema) (*sqlstore.Store, error) {
		return sqlstore.Open(ctx, path, sqlstore.Options{Name: room, Schemas: schemas})
	}
	if err := backup.Restore(t.Context(), os.DirFS(dir), m, backup.RestoreOptions{Open: again}); err != nil {
		t.Fatal(err) // it has read everything back and compared it
	}
	to, err := again(t.Context(), "a", []sqlstore.Schema{schema})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Close() }()
	if _, err := move.Opened(t.Context(), to, ""); err != nil {
		t.Errorf("a restored store is not opened: %v", err)
	}
	err = to.View(t.Context(), func(tx sqlstore.Tx) error {
		for _, r := range rows {
			var got string
			if err := tx.QueryRow(`SELECT coalesce(t, 'NULL') FROM vals WHERE id = ?`, r[0]).Scan(&got); err != nil {
				return err
			}
			want := "NULL"
			if r[3] != nil {
				want = fmt.Sprint(r[3])
			}
			if got != want {
				t.Errorf("%s came back as %q", r[0], got)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := backup.Restore(t.Context(), os.DirFS(dir), m, backup.RestoreOptions{Open: again}); err == nil || !strings.Contains(err.Error(), "has rows") {
		t.Errorf("a restore over rows: %v", err)
	}
}

func TestARestoreThatWasBrokenOffIsNotOpenedAndTriedAgain(t *testing.T) {
	from := open(t, "a")
	stop := ticks(t, from, open(t, "b"))
	time.Sleep(20 * time.Millisecond)
	stop()
	dir := t.TempDir()
	m, err := backup.Take(t.Context(), []backup.Room{backup.Of("a", from, []sqlstore.Schema{schema})}, backup.Folder(dir), backup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "b.db")
	var opened atomic.Int32
	again := func(ctx context.Context, room string, schemas []sqlstore.Schema) (*sqlstore.Store, error) {
		opened.Add(1)
		return sqlstore.Open(ctx, path, sqlstore.Options{Name: room, Schemas: schemas})
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := backup.RestoreOptions{Open: again, Progress: func(string, string, int64, int64) { cancel() }}
	if err := backup.Restore(ctx, os.DirFS(dir), m, o); err == nil {
		t.Fatal("a restore that was broken off has succeeded")
	}
	half, err := again(t.Context(), "a", []sqlstore.Schema{schema})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := move.Opened(t.Context(), half, ""); err == nil || !strings.Contains(err.Error(), "half filled") {
		t.Errorf("opened: %v", err)
	}
	if err := half.Close(); err != nil {
		t.Fatal(err)
	}
	if err := backup.Restore(t.Context(), os.DirFS(dir), m, backup.RestoreOptions{Open: again}); err != nil {
		t.Errorf("the second try: %v", err)
	}
}

func TestAManifestOfTwoMomentsIsRefused(t *testing.T) {
	_, err := backup.ParseManifest([]byte(`{"format": 1, "rooms": [
		{"name": "talker", "head": 2}, {"name": "listener", "consumers": [{"name": "listener.talker", "source": "talker", "position": 3}]}]}`))
	if err == nil || !strings.Contains(err.Error(), "not of one watermark") {
		t.Errorf("it was read: %v", err)
	}
	for _, text := range []string{``, `{"format": 2}`, `{"format": 1, "files": [{"name": "../../etc/passwd"}]}`, `{"format": 1, "rooms": [{"name": "../x"}]}`} {
		if _, err := backup.ParseManifest([]byte(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}
