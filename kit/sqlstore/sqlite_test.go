package sqlstore_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(appendTo); path != "" {
		appendForever(path)
	}
	goleak.VerifyTestMain(m)
}

func mustOpen(t *testing.T, path string, schemas ...sqlstore.Schema) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), path, sqlstore.Options{
		Name: "test", Schemas: schemas, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestSQLite(t *testing.T) {
	h := sqlstoretest.Harness{
		Open: func(t *testing.T, schemas ...sqlstore.Schema) *sqlstore.Store {
			return mustOpen(t, filepath.Join(t.TempDir(), "it's a %41 name?.db"), schemas...)
		},
		SmallDisk: smallDisk,
	}
	if os.Geteuid() != 0 {
		h.SmallDisk, h.Why = nil, "only root may mount the small disk that this needs"
	}
	sqlstoretest.Run(t, h)
}

// smallDisk is a tmpfs of 8 MB, 3 of them taken from the start, so that there is something to give back.
func smallDisk(t *testing.T, schemas ...sqlstore.Schema) sqlstoretest.Disk {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	path, ballast, filler := filepath.Join(dir, "small.db"), filepath.Join(dir, "ballast"), filepath.Join(dir, "filler")
	if err := os.WriteFile(ballast, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return sqlstoretest.Disk{
		Store:  mustOpen(t, path, schemas...),
		Fill:   func() { fill(filler) },
		Free:   func() { _ = errors.Join(os.Remove(filler), os.Remove(ballast)) },
		Reopen: func() *sqlstore.Store { return mustOpen(t, path, schemas...) },
	}
}

// fill writes until the disk takes no more.
func fill(path string) {
	f, err := os.Create(path)
	if err != nil {
		return
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
}

func TestLimitThatIsAParameterBoundsTheRows(t *testing.T) {
	store := mustOpen(t, filepath.Join(t.TempDir(), "limit.db"), benchSchema)
	defer store.Close()
	for id := range 9 {
		if err := store.Update(t.Context(), insert(id)); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{0, 1, 3, 9, 20} {
		var n int
		err := store.View(t.Context(), func(tx sqlstore.Tx) error {
			return tx.QueryRow("SELECT count(*) FROM (SELECT id FROM entries ORDER BY id LIMIT ? OFFSET ?)", limit, 1).Scan(&n)
		})
		if err != nil || n != min(limit, 8) {
			t.Errorf("limit %d: %d rows, %v", limit, n, err)
		}
	}
}
