package lease_test

import (
	"context"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/lease/leasetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openShared gives stores of one SQLite file.
func openShared(t testing.TB, processes int, schemas ...sqlstore.Schema) []*sqlstore.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shared.db")
	stores := make([]*sqlstore.Store, processes)
	for i := range stores {
		store, err := sqlstoretest.Open(context.Background(), path, sqlstore.Options{Name: "shared", Schemas: schemas, Shared: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		stores[i] = store
	}
	return stores
}

func TestLeasesOnASharedFile(t *testing.T) { leasetest.Run(t, openShared) }

// The store has no table of leases: a statement about them would fail.
func TestStoreOfOurOwnCostsNoStatement(t *testing.T) {
	store, err := sqlstore.Open(context.Background(), filepath.Join(t.TempDir(), "own.db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ran := false
	err = lease.New(store, lease.Options{}).Hold(context.Background(), "work", func(ctx context.Context, epoch int64) error {
		ran = true
		return store.Update(ctx, func(tx sqlstore.Tx) error { return lease.Fence(tx, "work", epoch) })
	})
	if err != nil || !ran {
		t.Errorf("Hold on a store of our own: ran=%v, err=%v", ran, err)
	}
}
