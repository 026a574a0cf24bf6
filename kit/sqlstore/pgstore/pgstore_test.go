package pgstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

// writeTo in the environment makes this test binary a writer that never ends of itself.
const writeTo = "PGSTORE_TEST_WRITE_TO"

func TestMain(m *testing.M) {
	if url := os.Getenv(writeTo); url != "" {
		writeForever(url)
	}
	goleak.VerifyTestMain(enginetest.Main{M: m})
}

// writeForever prints a line for each row that was acknowledged.
func writeForever(url string) {
	ctx := context.Background()
	store, err := pgstore.Open(ctx, url, sqlstore.Options{Name: "test", Schemas: []sqlstore.Schema{entries}})
	if err != nil {
		panic(err)
	}
	for id := int64(1); ; id++ {
		if err := store.Update(ctx, insert(id)); err != nil {
			panic(err)
		}
		fmt.Println(id)
	}
}

// writeUntilDead is how many rows a writer had acknowledged when it died.
func writeUntilDead(t *testing.T, url string, env ...string) int {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(append(os.Environ(), writeTo+"="+url), env...)
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err == nil {
		t.Error("the writer ended of itself")
	}
	return bytes.Count(out, []byte("\n"))
}

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
