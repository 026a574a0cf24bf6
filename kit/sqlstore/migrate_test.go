package sqlstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

func schemaOf(files map[string]string) sqlstore.Schema {
	m := fstest.MapFS{}
	for name, script := range files {
		m[name] = &fstest.MapFile{Data: []byte(script)}
	}
	return sqlstore.Schema{Name: "shelf", Files: m}
}

const (
	makeBooks = "CREATE TABLE books (id INTEGER PRIMARY KEY); -- a script;\nCREATE INDEX books_by_id ON books (id);"
	addTitle  = "ALTER TABLE books ADD COLUMN title TEXT NOT NULL DEFAULT ''"
)

func TestMigrations(t *testing.T) {
	v1 := schemaOf(map[string]string{"001_books.sql": makeBooks})
	v2 := schemaOf(map[string]string{"001_books.sql": makeBooks, "002_title.sql": addTitle})
	cases := []struct {
		name        string
		first, then sqlstore.Schema
		want        string // in the error; "" when the store opens
	}{
		{"the same schema again changes nothing", v1, v1, ""},
		{"a newer schema is applied", v1, v2, ""},
		{"a store that a newer build has migrated is refused", v2, v1, "at version 2 (002_title.sql) and this build knows only 1"},
		{
			"an applied migration that has changed is refused", v1,
			schemaOf(map[string]string{"001_books.sql": makeBooks + " "}), "an applied migration never changes",
		},
		{
			"a gap in the numbers is refused", v1,
			schemaOf(map[string]string{"001_books.sql": makeBooks, "003_title.sql": addTitle}), "should have the number 002",
		},
		{
			"a script that fails names its file", v1,
			schemaOf(map[string]string{"001_books.sql": makeBooks, "002_title.sql": "ALTER TABLE nothing ADD x TEXT"}), "apply 002_title.sql",
		},
		{"a file without a number is refused", v1, schemaOf(map[string]string{"books.sql": makeBooks}), "has no number"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shelf.db")
			if err := mustOpen(t, path, c.first).Close(); err != nil {
				t.Fatal(err)
			}
			store, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Schemas: []sqlstore.Schema{c.then}})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err == nil {
				_ = store.Close()
			}
		})
	}
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shelf.db")
	broken := schemaOf(map[string]string{"001_books.sql": "CREATE TABLE books (id INTEGER PRIMARY KEY); CREATE TABLE broken ("})
	if _, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Schemas: []sqlstore.Schema{broken}}); err == nil {
		t.Fatal("a broken script was applied")
	}
	_ = mustOpen(t, path, schemaOf(map[string]string{"001_books.sql": makeBooks})).Close()
}

func TestAPlanSaysWhatIsAppliedAndChangesNothing(t *testing.T) {
	o := sqlstore.Options{Schemas: []sqlstore.Schema{schemaOf(map[string]string{"001_books.sql": makeBooks, "002_title.sql": addTitle})}}
	path := filepath.Join(t.TempDir(), "shelf.db")
	plan := func(want ...bool) {
		t.Helper()
		steps, err := sqlstore.Plan(path, o)
		if err != nil || len(steps) != 2 || steps[0].Applied != want[0] || steps[1].Applied != want[1] || steps[0].Component != "shelf" || steps[1].Name != "002_title.sql" {
			t.Errorf("the plan is %+v, %v", steps, err)
		}
	}
	plan(false, false)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the plan made the file: %v", err)
	}
	_ = mustOpen(t, path, schemaOf(map[string]string{"001_books.sql": makeBooks})).Close()
	plan(true, false)
	if done, err := sqlstore.Migrate(t.Context(), path, o); err != nil || len(done) != 1 || done[0].Version != 2 || !done[0].Applied {
		t.Errorf("did %+v, %v", done, err)
	}
	plan(true, true)
	if done, err := sqlstore.Migrate(t.Context(), path, o); err != nil || len(done) != 0 {
		t.Errorf("did %+v again, %v", done, err)
	}
}
