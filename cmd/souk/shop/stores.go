package shop

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/pgstore"
)

// open opens the store of a room where the settings say that it is.
func (s Stores) open(dir string) func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
	return func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
		at := s.Of(room)
		switch scheme, _, _ := strings.Cut(at, ":"); scheme {
		case "":
			return sqlstore.Open(ctx, filepath.Join(dir, room+".db"), o)
		case "postgres", "postgresql":
			return pgstore.Open(ctx, at, o)
		default:
			return nil, fmt.Errorf("setting store.%s: %q is no engine of this room; write postgres://user@host/database, or %s for the data folder", room, scheme, embedded)
		}
	}
}
