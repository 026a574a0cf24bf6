package storesql_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/storesql"
	"github.com/seed-21071466/souk/services/carts/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T)       { suite(t, false) }
func TestSuiteShared(t *testing.T) { suite(t, true) }

func suite(t *testing.T, shared bool) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "carts.db")
		return func(t *testing.T, c clock.Clock) app.Store {
			db, err := sqlstoretest.Open(context.Background(), path, sqlstore.Options{
				Name: "carts", Schemas: []sqlstore.Schema{storesql.Schema(), bus.Schema(), lease.Schema()}, Shared: shared,
			})
			if err != nil {
				t.Fatal(err)
			}
			return storesql.New(db, storesql.Options{Shop: "shop", Clock: c})
		}
	}, storetest.Can{Share: shared || os.Getenv(sqlstoretest.Env) != ""})
}

func BenchmarkStore(b *testing.B) {
	db, err := sqlstore.Open(context.Background(), filepath.Join(b.TempDir(), "carts.db"), sqlstore.Options{
		Schemas: []sqlstore.Schema{storesql.Schema(), bus.Schema()},
	})
	if err != nil {
		b.Fatal(err)
	}
	store := storesql.New(db, storesql.Options{Shop: "shop", Clock: clock.System{}})
	defer func() { _ = store.Close() }()
	storetest.Bench(b, store)
}
