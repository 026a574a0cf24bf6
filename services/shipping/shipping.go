// Package shipping is the room of sending: how a parcel may go and what that costs,
// flat or by weight. Shipments and tracking follow with after-sale.
//
// It owns rates. Its invariant: what it quotes for a parcel depends on the parcel and
// the rates alone. Under partition its rates may be read stale; an order freezes the
// price that it was given.
package shipping

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/shipping/app"
	"github.com/seed-21071466/souk/services/shipping/wire"
)

// Config is what can be set: nothing yet.
type Config struct{}

// Room is the door.
func Room(Config) room.Room { return room.Room{Name: "shipping", Open: open} }

type shipping struct{ store *sqlstore.Store }

func open(ctx context.Context, env *room.Env) (room.Opened, error) {
	store, err := sqlstore.Open(ctx, filepath.Join(env.Dir, env.Name+".db"), sqlstore.Options{
		Name: env.Name, Schemas: []sqlstore.Schema{app.Schema()}, Registerer: env.Registerer, Log: env.Log,
	})
	if err != nil {
		return nil, err
	}
	a, err := app.Open(ctx, store, env.Shop)
	if err == nil {
		err = (&wire.Server{App: a}).Serve(ctx, env.RPC, env.REST, env.Edge(env.Name))
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return shipping{store}, nil
}

// Close closes the store.
func (s shipping) Close(context.Context) error { return s.store.Close() }
