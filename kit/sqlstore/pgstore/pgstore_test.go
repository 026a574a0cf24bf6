package pgstore_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(enginetest.Main{M: m}) }

func mustOpen(t testing.TB, url string, schemas ...sqlstore.Schema) *sqlstore.Store {
	t.Helper()
	store, err := pgstore.Open(t.Context(), url, sqlstore.Options{Name: "test", Schemas: schemas, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestPostgreSQL(t *testing.T) {
	sqlstoretest.Run(t, sqlstoretest.Harness{
		Open: func(t *testing.T, schemas ...sqlstore.Schema) *sqlstore.Store {
			return mustOpen(t, enginetest.Database(t), schemas...)
		},
		Why: "the disk is the server's",
		Shared: func(t *testing.T) sqlstoretest.Shared {
			url := enginetest.Database(t)
			return func(t *testing.T, schemas ...sqlstore.Schema) *sqlstore.Store { return mustOpen(t, url, schemas...) }
		},
	})
}
