// Package carts is the room of shopping carts: what a guest means to buy, where it is
// to go and how. Every answer is priced and checked anew by the rooms that know.
//
//	Create ─► lines, address, shipping ─► ordered (by orders, lines are taken out) ─► … ─► ends after its TTL
//
// It owns carts and nothing else: names and addresses live in users, prices in pricing,
// stock in inventory. A cart holds no stock; orders does, at checkout.
//
// Under partition carts chooses availability for what is its own: a cart that was read
// may be behind, its money never is, because orders freezes what pricing says at
// checkout.
//
// It is kept in SQL or in Redis, by the scheme of the store's URL. In SQL nothing that was
// acknowledged is lost. A Redis that fails over, or is restored, may forget the last
// changes of carts: a line, an address, a choice of shipping, a whole new cart. A checkout
// then orders the cart as it is; a client that sends expected_total is refused when that
// makes a difference in money. It never loses or doubles an order, nor what money and stock
// depend on:
//   - orders keeps the claim of a cart in its own store, and asks there that the cart has
//     heard of the last order that was confirmed of it. A cart that has forgotten is refused,
//     cart_already_ordered, until it has heard again;
//   - what was ordered is taken out together with the mark of how far carts has heard, so
//     both are forgotten together, and orders' record is heard again from there;
//   - an order is taken out once, by its place in that record, however often it is heard.
package carts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/storeredis"
	"github.com/seed-21071466/souk/services/carts/storesql"
	"github.com/seed-21071466/souk/services/carts/wire"
)

// Config is what can be set; zero means the default.
type Config struct {
	TTL time.Duration `name:"ttl" default:"720h" help:"How long a cart lives after it was last changed."`
}

// gather is how long a confirmed order may wait for others to be taken out of their carts with it.
const gather = 50 * time.Millisecond

// sweepEvery is how often ended carts are removed.
const sweepEvery = 10 * time.Minute

// Room is the door.
func Room(c Config) room.Room {
	return room.Room{
		Name:    "carts",
		Schemas: schemas(),
		Needs:   []string{"catalog", "pricing", "inventory", "shipping", "users"},
		Open:    func(ctx context.Context, env *room.Env) (room.Opened, error) { return open(ctx, env, c) },
	}
}

// schemas are the tables of the room's store.
func schemas() []sqlstore.Schema {
	return []sqlstore.Schema{storesql.Schema(), bus.Schema()}
}

type carts struct {
	store app.Store
	app   *app.App
	clock clock.Clock
	log   *slog.Logger
	env   *room.Env
	life  context.Context // of the sweep
	end   context.CancelFunc
	work  sync.WaitGroup
}

func open(ctx context.Context, env *room.Env, c Config) (room.Opened, error) {
	store, err := openStore(ctx, env)
	if err != nil {
		return nil, err
	}
	r := &carts{store: store, env: env, clock: env.Clock, log: env.Log}
	r.life, r.end = context.WithCancel(context.WithoutCancel(ctx))
	r.app = app.New(app.Deps{
		Store: store, Clock: env.Clock, IDs: env.IDs, TTL: c.TTL,
		Catalog: wire.NewCatalog(env.Dial("catalog")), Pricing: wire.NewPricing(env.Dial("pricing")),
		Stock: wire.NewStock(env.Dial("inventory")), Shipping: wire.NewShipping(env.Dial("shipping")),
		People: wire.NewPeople(env.Dial("users")),
	})
	if err := r.connect(ctx, env); err != nil {
		r.end()
		return nil, errors.Join(err, store.Close())
	}
	return r, nil
}

// openers open the store of carts by the scheme of its URL.
var openers = map[string]func(ctx context.Context, env *room.Env) (app.Store, error){
	"":           openSQL,
	"file":       openSQL,
	"postgres":   openSQL,
	"postgresql": openSQL,
	"redis":      openRedis,
	"rediss":     openRedis,
}

// openStore chooses the technology; the rest of the room does not know which it is.
func openStore(ctx context.Context, env *room.Env) (app.Store, error) {
	scheme, _, _ := strings.Cut(env.StoreURL, ":")
	open, known := openers[scheme]
	if !known {
		return nil, fmt.Errorf("open the store of carts: there is none for URLs of %q; expected one of %q",
			scheme, slices.Sorted(maps.Keys(openers)))
	}
	return open(ctx, env)
}

// openSQL opens the rows of carts, wherever the shop keeps them.
func openSQL(ctx context.Context, env *room.Env) (app.Store, error) {
	db, err := env.OpenStore(ctx)
	if err != nil {
		return nil, err
	}
	return storesql.New(db, storesql.Options{Shop: env.Shop, Clock: env.Clock}), nil
}

func openRedis(ctx context.Context, env *room.Env) (app.Store, error) {
	return storeredis.Open(ctx, env.StoreURL, storeredis.Options{
		Shop: env.Shop, Clock: env.Clock, Log: env.Log, Registerer: env.Registerer,
	})
}

func (r *carts) connect(ctx context.Context, env *room.Env) error {
	server := &wire.Server{App: r.app, Tokens: env.Tokens, Bus: env.Bus}
	if err := server.Serve(ctx, env.RPC, env.REST, env.Edge(env.Name)); err != nil {
		return fmt.Errorf("serve carts: %w", err)
	}
	consumer := bus.Consumer{Name: wire.FollowsOrders, Source: "orders", From: bus.FromStart, Gather: gather}
	return env.Bus.Subscribe(r.store.Follow(consumer, wire.Heard()))
}

// Start begins the sweep of ended carts.
func (r *carts) Start(context.Context) error {
	r.work.Go(func() { r.env.Alone(r.life, "sweep", r.sweep) })
	return nil
}

func (r *carts) sweep(ctx context.Context) error {
	timer := r.clock.NewTimer(sweepEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		}
		if n, err := r.store.Sweep(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("cannot remove ended carts", "error", err)
		} else if n > 0 {
			r.log.Debug("removed ended carts", "carts", n)
		}
		timer.Reset(sweepEvery)
	}
}

// Ready says whether carts can be read and changed.
func (r *carts) Ready(ctx context.Context) error { return r.store.Ready(ctx) }

// Close ends the sweep and closes the store.
func (r *carts) Close(context.Context) error {
	r.end()
	r.work.Wait()
	return r.store.Close()
}
