// Package orders is the room of orders: it decides them, and drives their checkout.
//
//	cart ─► OrderPlaced ─► hold (inventory) ─► pay (payments) ─► OrderConfirmed ─► events: allocate, empty the cart, …
//	                           │ short            │ declined, unresolved
//	                           └──────────────────┴─► OrderRejected ─► void, release
//	parcel left (shipping) ─► capture (payments)         goods came back ─► refund (payments)
//	cancel ─► stop (shipping) ─► OrderCanceled ─► void or refund, release
//
// It owns the streams of orders (event-sourced), the runs of the checkout and after-sale
// sagas, the idempotency keys of commands on orders, and the lists of orders, returns and
// sales. Its invariants: an acknowledged order exists once; it is decided once; no second
// order comes from a cart while the first lives; what a rejected or canceled order caused
// is undone or parked where an operator sees it; money is taken for confirmed orders only,
// and no more comes back, in pieces or in money, than went out.
//
// Under partition orders chooses consistency: what cannot be made durable is refused,
// and an order whose payment cannot be settled by its deadline is rejected.
package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sweep"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
	"github.com/seed-21071466/souk/services/orders/wire"
)

// Config is what can be set; zero means the default.
type Config struct {
	CheckoutWait time.Duration `name:"checkout_wait" default:"9s" help:"How long a checkout waits for its decision before it answers 202."`
	Deadline     time.Duration `name:"deadline" default:"15m" help:"How long an order may stay undecided before it is rejected."`
	Zone         string        `name:"zone" default:"UTC" help:"The shop's time zone, which decides the days of views: Europe/London."`
}

// gather is how long a fact of another room may wait for others; the runs do not depend on it, they ask themselves.
const gather = 20 * time.Millisecond

// Room is the door.
func Room(c Config) room.Room {
	return room.Room{
		Name:    "orders",
		Schemas: schemas(),
		Needs:   []string{"carts", "catalog", "inventory", "payments", "pricing", "shipping", "users"},
		Open:    func(ctx context.Context, env *room.Env) (room.Opened, error) { return open(ctx, env, c) },
	}
}

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return append(app.Schemas(), bus.Schema(), projection.Schema())
}

type orders struct {
	store  *sqlstore.Store
	app    *app.App
	driver *saga.Driver
	rows   *projection.Projector
	views  *view.Orders
	keys   *sweep.Sweeper
	env    *room.Env
	life   context.Context // of the unattended work
	end    context.CancelFunc
	work   sync.WaitGroup
}

func open(ctx context.Context, env *room.Env, c Config) (room.Opened, error) {
	store, err := env.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	r := &orders{store: store, env: env}
	r.life, r.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := r.connect(ctx, env, c); err != nil {
		r.end()
		return nil, errors.Join(err, store.Close())
	}
	return r, nil
}

func (r *orders) connect(ctx context.Context, env *room.Env, c Config) error {
	log, err := eventlog.New(r.store)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(c.Zone)
	if err != nil {
		return fmt.Errorf("setting orders.zone: %q is no time zone such as Europe/London: %w", c.Zone, err)
	}
	source := view.Source{
		Store: r.store, Log: log, Shop: env.Shop, Zone: zone,
		Recent: func(orderID string) (order.Order, bool) { return r.app.Recent(orderID) },
	}
	r.rows, err = projection.New(ctx, r.store, log, source.Projection(), projection.Options{
		Clock: env.Clock, Log: env.Log, Registerer: env.Registerer, Leases: env.Leases(),
	})
	if err != nil {
		return err
	}
	r.views = view.New(source, r.rows)
	r.app = app.New(app.Deps{
		Store: r.store, Log: log, Clock: env.Clock, IDs: env.IDs, Logger: env.Log, Shop: env.Shop,
		Carts: wire.NewCarts(env.Dial("carts")), Stock: wire.NewStock(env.Dial("inventory")),
		Payments: wire.NewPayments(env.Dial("payments")), People: wire.NewPeople(env.Dial("users")), Shipping: wire.NewShipping(env.Dial("shipping")),
		Catalog: wire.NewCatalog(env.Dial("catalog")), Pricing: wire.NewPricing(env.Dial("pricing")),
	}, r, app.Options{CheckoutWait: c.CheckoutWait, Deadline: c.Deadline})
	r.driver, err = saga.NewDriver(r.store, r.app.Advance, app.Definitions(), saga.Options{
		Owner: env.Name, Leases: env.Leases(), Clock: env.Clock, Log: env.Log, Registerer: env.Registerer,
	})
	if err != nil {
		return err
	}
	r.keys = sweep.New(r.store, env.Clock, env.Log, idem.Expire, saga.Expire)
	return r.join(ctx, env, log)
}

// KickFrom and KickBegun pass on to the driver, which is made after the use cases that ask it.
func (r *orders) KickFrom(ctx context.Context, runID string) { r.driver.KickFrom(ctx, runID) }

// KickBegun see KickFrom.
func (r *orders) KickBegun(ctx context.Context, run saga.Run) { r.driver.KickBegun(ctx, run) }

// Owner is whom the driver's runs belong to.
func (r *orders) Owner() string { return r.driver.Owner() }

// join takes the room's place on the network and on the bus.
func (r *orders) join(ctx context.Context, env *room.Env, log *eventlog.Log) error {
	server := &wire.Server{App: r.app, Orders: r.views, Tokens: env.Tokens, Bus: env.Bus}
	if err := server.Serve(ctx, env.RPC, env.REST, env.Edge(env.Name)); err != nil {
		return fmt.Errorf("serve orders: %w", err)
	}
	env.Bus.Publish(bus.FeedOf(env.Name, log, wire.Publish))
	for _, consumer := range wire.Consumers {
		_, source, _ := strings.Cut(consumer, ".")
		err := env.Bus.Subscribe(bus.Consumer{
			Name: consumer, Source: source, From: bus.FromStart, Store: r.store, Handle: wire.Heard(r.app, source), Gather: gather,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Start begins to project, to sweep, and to drive what an earlier process left unfinished.
func (r *orders) Start(ctx context.Context) error {
	r.work.Go(func() { _ = r.rows.Run(context.WithoutCancel(ctx)) }) // it ends with Close and logs its own failures
	r.work.Go(func() { r.env.Alone(r.life, "sweep", r.keys.Run) })
	return r.driver.Start(ctx)
}

// Close lets the runs come to a stop, then closes the store.
func (r *orders) Close(ctx context.Context) error {
	err := r.driver.Close(ctx)
	r.rows.Close()
	r.end()
	r.work.Wait()
	return errors.Join(err, r.store.Close())
}
