// Package app is what orders does: it loads an order, lets the heart decide,
// appends what was decided, and drives the checkout saga.
//
//	Checkout ─► tx: claim key and cart, OrderPlaced, run begins      1 commit
//	   driver ─► hold (inventory) ─► credit, pay (payments)          their commits
//	          ─► tx: facts, then OrderConfirmed | OrderRejected      1 commit
//	after-sale: a command or an event ─► tx: decision or fact, run begins
//	   driver ─► stop (shipping), undo, refund, capture ─► tx: facts
//
// No transaction is held while another room is asked.
package app

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// EventsMax bounds one order's stream; the bounds of parcels, returns and captures keep it far below.
const EventsMax = 5000

// Schemas are the tables that orders keeps in its store.
func Schemas() []sqlstore.Schema {
	own, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(fmt.Sprintf("orders schema: %v", err)) // the folder is embedded: a build fault
	}
	return []sqlstore.Schema{eventlog.Schema(), idem.Schema(), saga.Schema(), {Name: "orders", Files: own}}
}

// Deps is what an App stands on.
type Deps struct {
	Store    *sqlstore.Store
	Log      *eventlog.Log
	Clock    clock.Clock
	IDs      id.Source
	Logger   *slog.Logger
	Shop     string
	Carts    Carts
	Stock    Stock
	Payments Payments
	People   People
	Shipping Shipping
	Catalog  Catalog
	Pricing  Pricing
}

// Options bounds an App; zero means the default.
type Options struct {
	CheckoutWait time.Duration // how long a checkout waits for the decision; 10 s
	Deadline     time.Duration // how long an order may stay undecided; 15 minutes
}

// App is the use cases of orders.
type App struct {
	Deps
	o       Options
	driver  Driver
	waiters waiters
	hot     hot
	recent  recent
}

// Driver is what the use cases ask of the driver of runs.
type Driver interface {
	KickFrom(ctx context.Context, runID string)    // advance a run now, for the request in ctx
	KickBegun(ctx context.Context, begun saga.Run) // the same for a run that has just been begun
	Owner() string                                 // whom runs belong to that are begun here
}

// New makes the use cases.
func New(d Deps, driver Driver, o Options) *App {
	if o.CheckoutWait == 0 {
		o.CheckoutWait = checkoutWaitMax
	}
	if o.Deadline == 0 {
		o.Deadline = deadlineDefault
	}
	return &App{Deps: d, o: o, driver: driver}
}

// Load folds an order's stream.
func (a *App) Load(ctx context.Context, orderID string) (o order.Order, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		o, err = a.fold(tx, orderID)
		return err
	})
	return o, err
}

func (a *App) fold(tx sqlstore.Tx, orderID string) (order.Order, error) {
	o, _, err := a.read(tx, orderID)
	return o, err
}

// read folds an order's stream and says of whose making it is.
func (a *App) read(tx sqlstore.Tx, orderID string) (o order.Order, placed eventlog.Meta, err error) {
	recorded, err := a.Log.Stream(tx, orderID, 0, EventsMax)
	if err != nil {
		return o, placed, fmt.Errorf("read order %s: %w", orderID, err)
	}
	if len(recorded) == EventsMax {
		return o, placed, fmt.Errorf("read order %s: it has %d events or more", orderID, EventsMax)
	}
	if len(recorded) > 0 {
		placed = recorded[0].Meta
	}
	o, err = Fold(recorded)
	return o, placed, err
}

// Fold is an order after the stored events of its stream, from the first.
func Fold(recorded []eventlog.Recorded) (o order.Order, err error) {
	for i := range recorded {
		r := &recorded[i]
		e, err := Decode(r.Type, r.Schema, r.Data)
		if err == nil {
			err = o.Evolve(e)
		}
		if err != nil {
			return order.Order{}, fmt.Errorf("read order %s at version %d: %w", r.Stream, r.Version, err)
		}
	}
	return o, nil
}

// look is an order as it stands within an update, from memory where that is still true.
func (a *App) look(tx sqlstore.Tx, orderID string) (known, error) {
	if k, ok := a.recent.get(orderID); ok {
		_, err := a.Log.Append(tx, orderID, k.order.Version)
		var moved *eventlog.ConflictError
		if !errors.As(err, &moved) {
			return k, err
		}
	}
	o, placed, err := a.read(tx, orderID)
	return known{o, placed}, err
}

// decision computes what happens to an order as it stands.
type decision func(o *order.Order) ([]order.Event, error)

// decideSince is decide for an order that the caller knows as it stood before this
// transaction. When its stream has moved on, also where the decision says nothing new,
// the order is folded anew and the decision is taken again.
func (a *App) decideSince(tx sqlstore.Tx, k known, meta eventlog.Meta, d decision) (order.Order, error) {
	o, err := a.decide(tx, k, meta, d)
	if err == nil && o.Version == k.order.Version {
		_, err = a.Log.Append(tx, o.ID, o.Version)
	}
	var conflict *eventlog.ConflictError
	if !errors.As(err, &conflict) {
		return o, err
	}
	if k.order, k.placed, err = a.read(tx, k.order.ID); err != nil {
		return k.order, err
	}
	return a.decide(tx, k, meta, d)
}

// decide appends what a decision gives to the stream of an order as it stands. The
// stored answer follows in the same transaction.
func (a *App) decide(tx sqlstore.Tx, k known, meta eventlog.Meta, d decision) (order.Order, error) {
	o, before := k.order, k.order.Status
	decided, err := d(&o)
	if err != nil || len(decided) == 0 {
		return o, err
	}
	meta.Time = a.Clock.Now()
	events := make([]eventlog.Event, len(decided))
	version := o.Version
	for i, e := range decided {
		name, data, err := encode(e)
		if err != nil {
			return o, err
		}
		events[i] = eventlog.Event{Type: name, Schema: schemaVersion, Data: data, Meta: meta}
		if err := o.Evolve(e); err != nil {
			return o, err
		}
	}
	if _, err := a.Log.Append(tx, o.ID, version, events...); err != nil {
		return o, err
	}
	tx.AfterCommit(func() {
		a.recent.put(o, k.placed)
		if before != o.Status && o.Decided() && o.Status != order.Canceling {
			a.waiters.wake(o)
		}
	})
	if before == order.Pending && o.Decided() {
		return o, a.settle(tx, o)
	}
	return o, nil
}

// settle does what belongs to the decision: the answer, which is the order as it stands
// now, is stored for every retry of the request, the payment token is forgotten, a rejected order frees its cart.
func (a *App) settle(tx sqlstore.Tx, o order.Order) error {
	method := checkoutMethod
	if o.CartID == "" {
		method = deskMethod
	}
	if err := idem.Answer(tx, method, o.ID, encodeStand(stand{OrderID: o.ID, Version: o.Version})); err != nil {
		return err
	}
	if err := tx.Do(`DELETE FROM payment_tokens WHERE order_id = ?`, o.ID); err != nil {
		return err
	}
	if o.Status == order.Rejected && o.CartID != "" {
		return a.freeCart(tx, o)
	}
	return nil
}

func notFound(orderID string) *problem.Error {
	return problem.Newf(problem.NotFound, "order_not_found", "there is no order %s that you may see", orderID)
}
