// Package app is what shipping does: it says what a parcel costs, opens the shipments of confirmed orders, and dispatches,
// stops and tracks them. A shipment is one row with its lines and parcels as a document; what happens to it is said in
// the transaction that stores it.
package app

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/shipping/rate"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the tables that shipping keeps.
func Schema() sqlstore.Schema {
	own, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(fmt.Sprintf("shipping schema: %v", err)) // the folder is embedded: a build fault
	}
	return sqlstore.Schema{Name: "shipping", Files: own}
}

// The bounds of requests.
const (
	PageDefault     = 50
	PageMax         = 200
	ReasonMax       = 200             // characters of the reason of a stop
	OpenWaitDefault = 5 * time.Second // how long a dispatch waits for its shipment to open
)

// The types of the log's events. What the contract publishes bears the same name there; the others stay in the log.
const (
	EventDispatched = "ShipmentDispatched"
	EventTracked    = "ParcelTracked"
	EventStopped    = "ShipmentStopped"
)

// eventSchema is the version of the events' data.
const eventSchema = 1

// Words says what happened in the words of the contract; a stop needs none.
type Words interface {
	Dispatched(s *shipment.Shipment, p *shipment.Parcel) []byte
	Tracked(s *shipment.Shipment, parcel string, e shipment.Entry) []byte
}

// Parts are what the room works with; all are needed.
type Parts struct {
	Store *sqlstore.Store
	Log   *eventlog.Log
	Words Words
	Clock clock.Clock
	IDs   id.Source
	Shop  string

	// CaughtUp returns once the room has opened the shipments of all orders that were confirmed before it was called.
	CaughtUp func(ctx context.Context) error
}

// Options bounds a Shipping; zero means the default.
type Options struct {
	OpenWait time.Duration // OpenWaitDefault
}

// Shipping is the room at work. It is safe for concurrency.
type Shipping struct {
	Parts
	options Options
	rates   atomic.Pointer[[]rate.Rate]
	waiters waiters
}

// Open makes the use cases and reads the rates.
func Open(ctx context.Context, p Parts, o Options) (*Shipping, error) {
	if o.OpenWait <= 0 {
		o.OpenWait = OpenWaitDefault
	}
	a := &Shipping{Parts: p, options: o}
	if err := a.openRates(ctx); err != nil {
		return nil, fmt.Errorf("read the rates: %w", err)
	}
	return a, nil
}

func (a *Shipping) update(ctx context.Context, fn func(rows) error) error {
	return a.Store.Update(ctx, func(tx sqlstore.Tx) error { return fn(rows{tx, a.Shop}) })
}

func (a *Shipping) view(ctx context.Context, fn func(rows) error) error {
	return a.Store.View(ctx, func(tx sqlstore.Tx) error { return fn(rows{tx, a.Shop}) })
}

// say records what happened to a shipment; its stream, and so the ordering key, is the order.
func (a *Shipping) say(r rows, order, event string, data []byte, meta eventlog.Meta) error {
	meta.Shop = a.Shop
	if meta.Time.IsZero() {
		meta.Time = a.now()
	}
	_, err := a.Log.Append(r, order, eventlog.Any, eventlog.Event{Type: event, Schema: eventSchema, Data: data, Meta: meta})
	return err
}

// now is the time as rows and events keep it.
func (a *Shipping) now() time.Time { return inMicros(a.Clock.Now()) }

func inMicros(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

// codeNotFound is the refusal of an order that has no shipment.
const codeNotFound = "shipment_not_found"

func notFound(order string) error {
	return problem.New(problem.NotFound, codeNotFound, "There is no shipment of this order.").With("order", order)
}

func checkOrder(order string) error {
	if !id.Valid(order) {
		return problem.Field("order_id", "invalid", "name the order")
	}
	return nil
}
