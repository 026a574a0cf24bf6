package engine_test

import (
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/engine"
)

func TestAServerKeepsItsRowsThroughAKillAndAPause(t *testing.T) {
	server, err := engine.Postgres(t.Context(), t.TempDir(), engine.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { must(t, server.Close()) }()
	url, err := server.Database(t.Context(), "library")
	must(t, err)
	run := func(sql string) string {
		out, err := server.Run(t.Context(), "psql", "-qAtX", "-c", sql, url)
		must(t, err)
		return strings.TrimSpace(string(out))
	}
	run("CREATE TABLE books (id bigint); INSERT INTO books VALUES (7)")
	must(t, server.Kill())
	if _, err := server.Run(t.Context(), "psql", "-c", "SELECT 1", url); err == nil {
		t.Error("a killed server answered")
	}
	must(t, server.Start(t.Context()))
	must(t, server.Pause())
	must(t, server.Resume())
	if got := run("SELECT id FROM books"); got != "7" {
		t.Errorf("after the kill the books are %q", got)
	}
	if got := run("SHOW fsync") + run("SHOW lc_collate"); got != "onC" {
		t.Errorf("fsync and collation are %s", got)
	}
}

func TestSettingsAreTheServers(t *testing.T) {
	server, err := engine.Postgres(t.Context(), t.TempDir(), engine.PostgresOptions{Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { must(t, server.Close()) }()
	url, err := server.Database(t.Context(), "library")
	must(t, err)
	out, err := server.Run(t.Context(), "psql", "-qAtX", "-c", "SHOW fsync", url)
	if err != nil || strings.TrimSpace(string(out)) != "off" {
		t.Errorf("fsync is %s, %v", out, err)
	}
	if again, err := server.Database(t.Context(), "library"); err != nil || again != url {
		t.Errorf("the database that is there: %s, %v", again, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
