package pgstore_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

func psql(t testing.TB, address string, statements ...string) {
	t.Helper()
	args := []string{"--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"}
	for _, s := range statements {
		args = append(args, "--command="+s)
	}
	if _, err := enginetest.Run(t.Context(), "psql", append(args, address)...); err != nil {
		t.Fatal(err)
	}
}

// change rewrites a part of a database's URL.
func change(t *testing.T, address string, edit func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	edit(u)
	return u.String()
}

func TestADatabaseThatCannotBeUsedIsRefusedWithWhatWasExpected(t *testing.T) {
	good := enginetest.Database(t)
	psql(t, good, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
	const secret = "s3cr%t/p?ss"
	as := func(user string) func(u *url.URL) {
		return func(u *url.URL) { u.User = url.UserPassword(user, secret) }
	}
	with := func(parameter string) func(u *url.URL) { return func(u *url.URL) { u.RawQuery += "&" + parameter } }
	for name, c := range map[string]struct{ url, want string }{
		"no URL":            {"orders.db", "want postgres://"},
		"another scheme":    {"mysql://root:" + secret + "@localhost/x", "want postgres://"},
		"a broken URL":      {"postgres://u:" + secret + "@localhost:port/x", "want postgres://"},
		"a setting unknown": {change(t, good, with("sslmode=sometimes")), "sslmode"},
		"nobody listens":    {change(t, good, func(u *url.URL) { as("postgres")(u); u.Host = "127.0.0.1:1" }), "is a server running there"},
		"no such database":  {change(t, good, func(u *url.URL) { as("postgres")(u); u.Path = "/nowhere" }), `CREATE DATABASE "nowhere"`},
		"no such user":      {change(t, good, as("nobody")), "are user and password of the URL right"},
		"no right to make":  {change(t, good, as("guest")), `CREATE SCHEMA "library" AUTHORIZATION "guest"`},
		"not durable":       {change(t, good, with("synchronous_commit=off")), "synchronous_commit is off and must be on"},
		"too long a name":   {change(t, good, with("search_path="+strings.Repeat("x", 60))), "longer than 58 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := pgstore.Open(t.Context(), c.url, sqlstore.Options{Name: "library"})
			if err == nil {
				_ = store.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "open store library") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "s3cr") || strings.Contains(err.Error(), "p?ss") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}

func TestAServerWithoutFsyncIsRefused(t *testing.T) {
	server, err := engine.Postgres(t.Context(), t.TempDir(), engine.PostgresOptions{Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	address, err := server.Database(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pgstore.Open(t.Context(), address, sqlstore.Options{}); err == nil || !strings.Contains(err.Error(), "fsync is off") {
		t.Errorf("got %v", err)
	}
}

func TestAPasswordThatIsWrongIsRefused(t *testing.T) {
	server, err := engine.Postgres(t.Context(), t.TempDir(), engine.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	address, err := server.Database(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	run := func(sql string) {
		if _, err := server.Run(t.Context(), "psql", "--quiet", "--command="+sql, address); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE ROLE clerk LOGIN PASSWORD 'right'; GRANT CREATE ON DATABASE shop TO clerk")
	hba := server.Dir() + "/data/pg_hba.conf"
	if err := os.WriteFile(hba, []byte("host all clerk 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("SELECT pg_reload_conf()")
	login := func(password string) string {
		return change(t, address, func(u *url.URL) { u.User = url.UserPassword("clerk", password) })
	}
	until(t, "a refusal by the new rules", func() bool {
		store, err := pgstore.Open(t.Context(), login("wr0ng"), sqlstore.Options{})
		if err == nil {
			_ = store.Close()
			return false
		}
		if !strings.Contains(err.Error(), "are user and password of the URL right") || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("got %v", err)
		}
		return true
	})
	store, err := pgstore.Open(t.Context(), login("right"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = store.Close()
}

func versions(scripts ...string) sqlstore.Schema {
	files := fstest.MapFS{}
	for i, script := range scripts {
		files[fmt.Sprintf("%03d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(script)}
	}
	return sqlstore.Schema{Name: "shelf", Files: files}
}

func TestMigrationsGoForwardOnly(t *testing.T) {
	const books, title = "CREATE TABLE books (id INTEGER PRIMARY KEY); -- it's a script;\nCREATE INDEX books_by_id ON books (id);", "ALTER TABLE books ADD COLUMN title TEXT NOT NULL DEFAULT ''"
	v1, v2, broken := versions(books), versions(books, title), versions(books, "CREATE TABLE other (id INTEGER); CREATE TABLE books (")
	address := enginetest.Database(t)
	o := func(s sqlstore.Schema) sqlstore.Options {
		return sqlstore.Options{Name: "shelf", Schemas: []sqlstore.Schema{s}}
	}
	plan := func(want string) {
		t.Helper()
		steps, err := pgstore.Plan(t.Context(), address, o(v2))
		if got := describe(steps); err != nil || got != want {
			t.Errorf("the plan is %s, not %s: %v", got, want, err)
		}
	}
	plan("001_step.sql: false, 002_step.sql: false")
	if done, err := pgstore.Migrate(t.Context(), address, o(v1)); err != nil || describe(done) != "001_step.sql: true" {
		t.Errorf("did %s, %v", describe(done), err)
	}
	plan("001_step.sql: true, 002_step.sql: false")
	if _, err := pgstore.Migrate(t.Context(), address, o(broken)); err == nil || !strings.Contains(err.Error(), "apply 002_step.sql") {
		t.Errorf("a broken script: %v", err)
	}
	plan("001_step.sql: true, 002_step.sql: false")
	if done, err := pgstore.Migrate(t.Context(), address, o(v2)); err != nil || describe(done) != "002_step.sql: true" {
		t.Errorf("did %s, %v", describe(done), err)
	}
	if done, err := pgstore.Migrate(t.Context(), address, o(v2)); err != nil || len(done) != 0 {
		t.Errorf("did %s again, %v", describe(done), err)
	}
	for schema, want := range map[*sqlstore.Schema]string{&v1: "knows only 1: start it with the newer build", {Name: "shelf", Files: versions(books+" ", title).Files}: "never changes"} {
		if _, err := pgstore.Open(t.Context(), address, o(*schema)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func describe(steps []sqlstore.Migration) string {
	var said []string
	for _, m := range steps {
		said = append(said, fmt.Sprintf("%s: %v", m.Name, m.Applied))
	}
	return strings.Join(said, ", ")
}

// Text is ordered by its bytes although the database speaks another language, and each room has its own tables.
func TestRoomsShareADatabaseOfAnyLanguage(t *testing.T) {
	address := enginetest.Database(t)
	psql(t, address, "CREATE COLLATION other (provider = icu, locale = 'en-u-ks-level2', deterministic = false)")
	names := sqlstore.Schema{Name: "names", Files: fstest.MapFS{
		"001_names.sql": {Data: []byte("CREATE TABLE names (name TEXT PRIMARY KEY, n INTEGER, r REAL, b BLOB)")},
	}}
	for _, room := range []string{"orders", "payments"} {
		store, err := pgstore.Open(t.Context(), address, sqlstore.Options{Name: room, Schemas: []sqlstore.Schema{names}})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		var first, collation string
		err = store.Update(t.Context(), func(tx sqlstore.Tx) error {
			for _, name := range []string{"b", "B", "a", room} {
				if _, err := tx.Exec("INSERT INTO names (name) VALUES (?)", name); err != nil {
					return err
				}
			}
			return tx.QueryRow("SELECT name, pg_collation_for(name) FROM names ORDER BY name LIMIT ?", 1).Scan(&first, &collation)
		})
		if err != nil || first != "B" || collation != `"C"` {
			t.Errorf("%s: first is %s by %s, %v", room, first, collation, err)
		}
	}
}

func TestCrashPointsStandAroundEachCommit(t *testing.T) {
	around := []string{"1 test commit before\n", "2 test commit after\n", "3 test commit before\n", "4 test commit after\n"}
	for n := range around {
		address, log := enginetest.Database(t), t.TempDir()+"/log"
		rows := writeUntilDead(t, address, fmt.Sprint(crashpoint.EnvAt, "=", n+1), crashpoint.EnvLog+"="+log)
		hits, err := os.ReadFile(log)
		if err != nil || string(hits) != strings.Join(around[:n+1], "") {
			t.Errorf("killed at %d: hits %q, %v", n+1, hits, err)
		}
		store := mustOpen(t, address, entries)
		if kept := count(t, store, "true"); kept != (n+1)/2 || rows > kept {
			t.Errorf("killed at %d: %d rows, %d acknowledged", n+1, kept, rows)
		}
		_ = store.Close()
	}
}
