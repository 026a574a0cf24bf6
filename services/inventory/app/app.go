// Package app is what inventory does: each use case loads the SKUs that it is
// about, lets the heart decide, and saves figures, ledger, holds and one event
// in one transaction.
package app

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// The bounds of one request.
const (
	LinesMax     = 2_000 // lines of one hold, SKUs of one availability
	MovementsMax = 500   // movements or counts of one request
	LocationsMax = 100   // locations of one shop
	ReasonMax    = 200   // characters of a reason or of a location's name
	PageDefault  = 50
	PageMax      = 200
	HoldsDefault = 500
	HoldsMax     = 1_000
)

// HoldDefault is the deadline of a hold whose order names none.
const HoldDefault = 15 * time.Minute

//go:embed schema/*.sql
var schema embed.FS

// Schema is the room's own tables.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(schema, "schema")
	if err != nil {
		panic("inventory schema: " + err.Error()) // only for an invalid path
	}
	return sqlstore.Schema{Name: "inventory", Files: files}
}

// Words turns what happened into the records of the room's log, in the words of its contract.
type Words interface {
	StockChanged(cause Cause, order string, figures []stock.Figure) eventlog.Event
	HoldOverdue(order string, deadline time.Time) eventlog.Event
}

// Cause says why figures changed.
type Cause string

// The causes; a batch of movements of one kind is caused by that kind, a mixed one is "adjusted".
const (
	CauseAdjusted  Cause = "adjusted"
	CauseHeld      Cause = "held"
	CauseReleased  Cause = "released"
	CauseAllocated Cause = "allocated"
	CauseShipped   Cause = "shipped"
	CauseReturned  Cause = "returned"
	CausePolicy    Cause = "policy"
)

// Parts are what the room works with; all are needed.
type Parts struct {
	Store *sqlstore.Store
	Log   *eventlog.Log
	Words Words
	Clock clock.Clock
	IDs   id.Source
	Slog  *slog.Logger
	Shop  string
}

// Inventory is the room at work. It is safe for concurrency.
type Inventory struct {
	Parts
	figures figures
	memory  *memory
	watch   watch
}

// Open reads the figures of all SKUs, so that availability is answered from memory where no other process changes them.
func Open(ctx context.Context, p Parts) (*Inventory, error) {
	inv := &Inventory{Parts: p, figures: newFigures(), memory: newMemory(), watch: newWatch()}
	err := inv.update(ctx, func(r rows) error {
		if err := r.insertMain(); err != nil {
			return err
		}
		if inv.Store.Shared() {
			return nil // availability is read from the rows
		}
		all, err := r.allFigures()
		inv.figures.learn(all)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the figures of all skus: %w", err)
	}
	return inv, nil
}

func (inv *Inventory) update(ctx context.Context, fn func(rows) error) error {
	return inv.Store.Update(ctx, func(tx sqlstore.Tx) error { return fn(inv.rows(tx)) })
}

func (inv *Inventory) view(ctx context.Context, fn func(rows) error) error {
	return inv.Store.View(ctx, func(tx sqlstore.Tx) error { return fn(inv.rows(tx)) })
}

// glance is a view of one statement.
func (inv *Inventory) glance(ctx context.Context, fn func(rows) error) error {
	return inv.Store.Glance(ctx, func(tx sqlstore.Tx) error { return fn(inv.rows(tx)) })
}

func (inv *Inventory) rows(tx sqlstore.Tx) rows { return rows{tx, inv.Shop, inv.memory} }

// change tells what a command did to the shelf, and saves it.
func (inv *Inventory) change(r rows, shelf *stock.Shelf, stream string, cause Cause, order string, meta eventlog.Meta) error {
	if err := inv.tell(r, shelf, stream, cause, order, meta); err != nil {
		return err
	}
	return r.saveShelf(shelf)
}

// tell says what is news on the shelf in one event, if anything is. Memory learns the figures once they are durable,
// before the caller hears.
func (inv *Inventory) tell(r rows, shelf *stock.Shelf, stream string, cause Cause, order string, meta eventlog.Meta) error {
	figures := shelf.News()
	if len(figures) == 0 {
		return nil
	}
	if !inv.Store.Shared() {
		r.AfterCommit(func() { inv.figures.learn(figures) })
	}
	return inv.say(r, stream, inv.Words.StockChanged(cause, order, figures), meta)
}

func (inv *Inventory) say(r rows, stream string, event eventlog.Event, meta eventlog.Meta) error {
	event.Meta = meta
	event.Meta.Shop = inv.Shop
	if event.Meta.Time.IsZero() {
		event.Meta.Time = inv.Clock.Now()
	}
	_, err := inv.Log.Append(r, stream, eventlog.Any, event)
	return err
}

func checkOrder(order, run string) error {
	if !id.Valid(order) {
		return problem.Field("order_id", "invalid", "name the order")
	}
	if !id.Valid(run) {
		return problem.Field("run_id", "invalid", "name the run")
	}
	return nil
}

func checkSKU(field, sku string) error {
	if !id.Valid(sku) {
		return problem.Field(field, "invalid", "a SKU is 1 to 64 letters, digits, dots, dashes or underscores")
	}
	return nil
}
