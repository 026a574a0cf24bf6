package sqlstoretest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

// Env chooses the database beneath the stores that tests open: "postgres", or SQLite when it is empty.
const Env = "SOUK_TEST_STORE"

// Open is sqlstore.Open for the tests of what stands on a store. Where Env says so, path names a schema of its own in a
// real PostgreSQL instead of a file; the same path is the same schema.
func Open(ctx context.Context, path string, o sqlstore.Options) (*sqlstore.Store, error) {
	switch chosen := os.Getenv(Env); chosen {
	case "":
		return sqlstore.Open(ctx, path, o)
	case "postgres":
		address, err := schemas.of(ctx, path)
		if err != nil {
			return nil, err
		}
		return pgstore.Open(ctx, address, o)
	default:
		return nil, fmt.Errorf("%s=%s: want postgres, or nothing for SQLite", Env, chosen)
	}
}

// Stores is room.Shared's, for the rooms of the shop in dir.
func Stores(dir string) func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
	return func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
		return Open(ctx, filepath.Join(dir, room+".db"), o)
	}
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
	name, known := n.names[path]
	if !known {
		name = fmt.Sprintf("%s_%d", strings.TrimSuffix(filepath.Base(path), ".db"), len(n.names)+1)
		n.names[path] = name
	}
	u, err := url.Parse(n.url)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String(), nil
}
