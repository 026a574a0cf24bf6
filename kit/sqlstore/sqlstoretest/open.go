package sqlstoretest

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

// Env chooses the database beneath the stores that tests open: "postgres", or SQLite when it is empty.
const Env = "SOUK_TEST_STORE"

// Open is sqlstore.Open for the tests of what stands on a store. Where Env says so, path names a schema of its own in a
// real PostgreSQL instead of a file, with the table of leases; the same path is the same schema.
func Open(ctx context.Context, path string, o sqlstore.Options) (*sqlstore.Store, error) {
	switch chosen := os.Getenv(Env); chosen {
	case "":
		return sqlstore.Open(ctx, path, o)
	case "postgres":
		address, err := schemas.of(ctx, path)
		if err != nil {
			return nil, err
		}
		return pgstore.Open(ctx, address, withLeases(o))
	default:
		return nil, fmt.Errorf("%s=%s: want postgres, or nothing for SQLite", Env, chosen)
	}
}

// withLeases adds what a store needs that others may write.
func withLeases(o sqlstore.Options) sqlstore.Options {
	table := lease.Schema()
	if !slices.ContainsFunc(o.Schemas, func(s sqlstore.Schema) bool { return s.Name == table.Name }) {
		o.Schemas = append(o.Schemas[:len(o.Schemas):len(o.Schemas)], table)
	}
	return o
}

// Stores is room.Shared's, for the rooms of the shop in dir.
func Stores(dir string) func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
	return func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
		return Open(ctx, filepath.Join(dir, room+".db"), o)
	}
}

// SkipUnlessSQLite skips what is about SQLite's own ways where Env chooses another database.
func SkipUnlessSQLite(t testing.TB, why string) {
	t.Helper()
	if chosen := os.Getenv(Env); chosen != "" {
		t.Skipf("on %s: %s", chosen, why)
	}
}

// Copy copies the stores in one folder to another, as they are at one moment. Where they are files it does nothing: the
// caller copies the folder.
func Copy(ctx context.Context, from, to string) error {
	if os.Getenv(Env) == "" {
		return nil
	}
	return schemas.copy(ctx, from, to)
}

// Contents is all that a store keeps, for a test that looks for what it must not keep: the bytes of its files, or a dump
// in which text stands as it is.
func Contents(ctx context.Context, path string) (all []byte, err error) {
	if os.Getenv(Env) != "" {
		return schemas.dump(ctx, path)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, content...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read store %s: it has no files", path)
	}
	return all, nil
}

// schemas are those of this test binary, in one database.
var schemas named

type named struct {
	mu    sync.Mutex
	url   string
	names map[string]string // by path
}

// of is the URL of the schema that a path stands for.
func (n *named) of(ctx context.Context, path string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.url == "" {
		made, err := enginetest.New(ctx)
		if err != nil {
			return "", err
		}
		n.url, n.names = made, map[string]string{}
	}
	name := n.name(path)
	return with(n.url, "search_path", name)
}

// with is the URL with one more parameter.
func with(address, parameter, value string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set(parameter, value)
	// libpq wants %20 where Go writes +.
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return u.String(), nil
}

func (n *named) dump(ctx context.Context, path string) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	address, err := with(n.url, "options", "-c bytea_output=escape")
	if err != nil {
		return nil, err
	}
	return enginetest.Run(ctx, "pg_dump", "--schema="+n.name(path), address)
}

func (n *named) name(path string) string {
	name, known := n.names[path]
	if !known { // it ends so that none begins another
		name = fmt.Sprintf("%s_%d_", strings.TrimSuffix(filepath.Base(path), ".db"), len(n.names)+1)
		n.names[path] = name
	}
	return name
}

// copy dumps the schemas of one folder, gives them the other's names, and restores them.
func (n *named) copy(ctx context.Context, from, to string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	args, renamed := []string{"--no-owner"}, []string{}
	for path, name := range maps.Clone(n.names) {
		if filepath.Dir(path) == from {
			args = append(args, "--schema="+name)
			renamed = append(renamed, name, n.name(filepath.Join(to, filepath.Base(path))))
		}
	}
	dump, err := enginetest.Run(ctx, "pg_dump", append(args, n.url)...)
	if err != nil {
		return err
	}
	script := filepath.Join(to, "dump.sql")
	if err := os.WriteFile(script, []byte(strings.NewReplacer(renamed...).Replace(string(dump))), 0o600); err != nil {
		return err
	}
	defer os.Remove(script)
	_, err = enginetest.Run(ctx, "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file="+script, n.url)
	return err
}
