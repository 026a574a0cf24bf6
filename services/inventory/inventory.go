// Package inventory is the door of the stock: what is on hand at each location,
// what is promised to orders, and the ledger of every piece that came or went.
//
//	on hand   = Σ movements (received, adjusted, written off, shipped, returned)
//	available = on hand − held − allocated
//
// A hold belongs to the run of an order:
//
//	             Hold                OrderConfirmed      all is shipped
//	(nothing) ─────────▶ held ─────────────────────▶ allocated ────────▶ shipped
//	    │                 │ │ deadline: HoldOverdue       │
//	    │ Release         │ └─▶ said once, hold kept      │ Release, or all
//	    ▼                 ▼ Release                       ▼ lines released
//	canceled           released ◀─────────────────────────┘
//
// What is heard of an order once it is confirmed (its confirmation, parcels,
// releases of lines, returns) are facts. They come from several rooms and so in
// any sequence; they commute, and package stock says how.
//
// Invariants, each a rule of Findings:
//   - the words above hold row by row, at every location;
//   - no hold takes available below zero, unless the SKU may be backordered,
//     and then not beyond its limit. A count, a write-off, a late confirmation
//     or pieces that left unpromised may; it is reported as a shortfall;
//   - only Release ends a hold that an order owns. Release of a hold that is
//     not there leaves a tombstone (canceled), which refuses the Hold that
//     arrives later; Hold and Release heard again answer as before;
//   - a fact is never refused: a confirmation allocates even what was released
//     meanwhile, and a parcel ships even what was never promised;
//   - each parcel, return and release of lines counts once, by its id;
//   - no more left for an order than it was promised, and no more came back
//     than had left;
//   - each change of what can be sold says one StockChanged, in the transaction
//     that made it.
//
// Under partition it chooses consistency: a hold that cannot be made durable is
// refused. Availability is exact as of the last commit, from this process's
// memory where it is the only one; it is advice, and only a hold is a promise.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/wire"
)

// Name is the room's name.
const Name = "inventory"

// Config is what a shop may choose; there is nothing yet.
type Config struct{}

// Room is the door.
func Room(Config) room.Room { return room.Room{Name: Name, Schemas: schemas(), Open: open} }

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{app.Schema(), eventlog.Schema(), bus.Schema(), idem.Schema()}
}

// opened is the room while it is open.
type opened struct {
	store *sqlstore.Store
	stock *app.Inventory
	env   *room.Env
	stop  context.CancelFunc
	work  sync.WaitGroup
}

func open(ctx context.Context, env *room.Env) (room.Opened, error) {
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	o := &opened{store: store, env: env, stop: func() {}}
	if err := o.furnish(ctx, env); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return o, nil
}

// furnish joins the chambers and takes the room's place on the wire and the bus.
func (o *opened) furnish(ctx context.Context, env *room.Env) error {
	log, err := eventlog.New(o.store)
	if err != nil {
		return err
	}
	o.stock, err = app.Open(ctx, app.Parts{
		Store: o.store, Log: log, Words: wire.Words{}, Clock: env.Clock, IDs: env.IDs, Slog: env.Log, Shop: env.Shop,
	})
	if err != nil {
		return err
	}
	server := &wire.Server{Stock: o.stock, Bus: env.Bus}
	if err := server.Serve(ctx, env.RPC, env.REST, env.Edge(Name)); err != nil {
		return fmt.Errorf("serve inventory: %w", err)
	}
	env.Bus.Publish(bus.FeedOf(Name, log, nil))
	for _, consumer := range wire.Follow(o.stock) {
		if err := env.Bus.Subscribe(consumer); err != nil {
			return err
		}
	}
	return nil
}

// Start begins to watch the deadlines of holds.
func (o *opened) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.work.Go(func() {
		o.env.Alone(ctx, "watch", func(ctx context.Context) error {
			return o.stock.Watch(ctx, eventlog.Meta{Actor: "service:" + Name})
		})
	})
	return nil
}

// Close ends the watch and closes the store.
func (o *opened) Close(context.Context) error {
	o.stop()
	o.work.Wait()
	return o.store.Close()
}
