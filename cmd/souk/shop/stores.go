package shop

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// open opens the store of a room where the settings say that it is.
func (s Stores) open(dir string) func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
	return func(ctx context.Context, room string, o sqlstore.Options) (*sqlstore.Store, error) {
		at := s.Of(room)
		if at == "" {
			return sqlstore.Open(ctx, filepath.Join(dir, room+".db"), o)
		}
		u, err := url.Parse(at)
		if err != nil {
			return nil, fmt.Errorf("setting store.%s: it is no URL; write postgres://user@host/database, or file for the data folder", room)
		}
		switch u.Scheme {
		default:
			return nil, fmt.Errorf("setting store.%s: %q is no engine of this room; write postgres://user@host/database, or file for the data folder", room, u.Scheme)
		}
	}
}
