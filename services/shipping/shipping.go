// Package shipping is the room of sending: how a parcel may go and what that costs, and what of an order has left.
//
//	orders ── OrderConfirmed ──▶ open ── Dispatch ──▶ partly_dispatched ──▶ dispatched ──▶ ShipmentDispatched
//	orders ── Stop ──▶ stopped: the rest never leaves
//	carrier ── Track ──▶ where a parcel is ──▶ ParcelTracked
//
// It owns rates and shipments. Of a person it keeps the subject's id, no name and no address.
//
// Invariants, each a rule of Findings or a test of its heart:
//   - it alone decides whether pieces leave or are stopped, in one transaction: no piece is both, and what has left is a
//     fact that nobody refuses;
//   - no line is dispatched beyond its quantity; the parcels hold just what is dispatched;
//   - an order opens one shipment, however often its confirmation is heard; a stop that comes first leaves it stopped;
//   - each parcel is said once, in the transaction that stores it, and made once for an idempotency key;
//   - what it quotes for a parcel depends on the parcel and the rates alone.
//
// It needs no other room: it hears of orders by events, and orders asks it.
//
// Under partition it chooses consistency: a dispatch or a stop that cannot be made durable is refused, and while
// confirmations cannot arrive, new orders cannot be dispatched. Its rates may be read stale; an order freezes the price
// that it was given.
package shipping

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sweep"
	"github.com/seed-21071466/souk/services/shipping/app"
	"github.com/seed-21071466/souk/services/shipping/wire"
)

// Name is the room's name.
const Name = "shipping"

// Config is what can be set; zero means the default.
type Config struct {
	OpenWait time.Duration `name:"open_wait" default:"5s" help:"How long a dispatch waits for the confirmation of its order to arrive before it answers 404."`
}

// Room is the door.
func Room(c Config) room.Room {
	return room.Room{Name: Name, Schemas: schemas(), Open: func(ctx context.Context, env *room.Env) (room.Opened, error) { return open(ctx, env, c) }}
}

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{app.Schema(), eventlog.Schema(), bus.Schema(), idem.Schema()}
}

// opened is the room while it is open.
type opened struct {
	store *sqlstore.Store
	keys  *sweep.Sweeper
	env   *room.Env
	life  context.Context // of the sweep
	end   context.CancelFunc
	work  sync.WaitGroup
}

func open(ctx context.Context, env *room.Env, c Config) (room.Opened, error) {
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	o := &opened{store: store, keys: sweep.New(store, env.Clock, env.Log, idem.Expire), env: env}
	o.life, o.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := o.furnish(ctx, env, c); err != nil {
		o.end()
		return nil, errors.Join(err, store.Close())
	}
	return o, nil
}

// furnish joins the chambers and takes the room's place on the wire and the bus.
func (o *opened) furnish(ctx context.Context, env *room.Env, c Config) error {
	log, err := eventlog.New(o.store)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Parts{
		Store: o.store, Log: log, Words: wire.Words{}, Clock: env.Clock, IDs: env.IDs, Shop: env.Shop,
		CaughtUp: func(ctx context.Context) error { return env.Bus.CaughtUp(ctx, wire.FollowsOrders) },
	}, app.Options{OpenWait: c.OpenWait})
	if err != nil {
		return err
	}
	server := &wire.Server{Shipping: a, Bus: env.Bus}
	if err := server.Serve(ctx, env.RPC, env.REST, env.Edge(Name)); err != nil {
		return fmt.Errorf("serve shipping: %w", err)
	}
	env.Bus.Publish(bus.FeedOf(Name, log, wire.Publish))
	return env.Bus.Subscribe(wire.Follow(a))
}

// Start begins to sweep.
func (o *opened) Start(context.Context) error {
	o.work.Go(func() { o.env.Alone(o.life, "sweep", o.keys.Run) })
	return nil
}

// Close ends the sweep and closes the store.
func (o *opened) Close(context.Context) error {
	o.end()
	o.work.Wait()
	return o.store.Close()
}
