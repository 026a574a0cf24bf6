// Package catalog is the door of the catalog: products, their variants and
// categories, and what the shop shows of them.
//
// It owns the documents of products (translatable texts, typed attributes,
// options), which SKU belongs to which product, and the tree of categories.
// Prices and stock it only repeats: its lists follow pricing and inventory by
// events, newest revision wins.
//
// Invariants: a SKU belongs to one product; a handle names one; a category
// never stands below itself; the rows of lists follow from the documents.
//
// Under partition it chooses availability. An answer may be 200 ms old, and
// when a consumer lags by more than view.StaleAfter the answer says so; the
// price that counts is quoted by pricing, the piece is held by inventory.
package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/catalog/app"
	"github.com/seed-21071466/souk/services/catalog/schema"
	"github.com/seed-21071466/souk/services/catalog/view"
	"github.com/seed-21071466/souk/services/catalog/wire"
)

// Name is the room's name.
const Name = "catalog"

// Config is what a shop may choose; there is nothing yet.
type Config struct{}

// Room is the catalog.
func Room(Config) room.Room {
	return room.Room{Name: Name, Schemas: schemas(), Open: open}
}

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{schema.Schema(), eventlog.Schema(), bus.Schema()}
}

// opened is the room while it is open.
type opened struct{ store *sqlstore.Store }

func open(ctx context.Context, env *room.Env) (room.Opened, error) {
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	if err := furnish(ctx, env, store); err != nil {
		_ = store.Close() // what failed first is what matters
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	return &opened{store}, nil
}

// furnish joins the chambers and takes the room's place on the bus and the wire.
func furnish(ctx context.Context, env *room.Env, store *sqlstore.Store) error {
	log, err := eventlog.New(store)
	if err != nil {
		return err
	}
	shown, err := view.New(ctx, store, view.Options{Boot: env.IDs.New("v"), Clock: env.Clock, Lag: lag(env.Bus)})
	if err != nil {
		return err
	}
	env.Bus.Publish(bus.FeedOf(Name, log, wire.Publish))
	for _, consumer := range wire.Followers(store, shown) {
		if err := env.Bus.Subscribe(consumer); err != nil {
			return err
		}
	}
	wire.Serve(env.RPC, &wire.Server{
		Shop: env.Shop, Catalog: app.New(store, log, shown, env.Clock), View: shown, Log: log, Bus: env.Bus,
	})
	if env.REST == nil {
		return nil
	}
	return wire.ServeREST(ctx, env.REST.ServeMux(), env.Edge(Name))
}

// lag is the age of the oldest event that one of the room's consumers has not settled.
func lag(of *bus.Bus) func() time.Duration {
	return func() time.Duration { return max(of.Lag(wire.FollowsPricing), of.Lag(wire.FollowsInventory)) }
}

// Close ends the room; the bus has stopped calling it.
func (o *opened) Close(context.Context) error { return o.store.Close() }
