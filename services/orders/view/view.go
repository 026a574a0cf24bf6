// Package view is the read side of orders: the lists of orders, their lines and returns, and the sales, all projected
// from the streams of orders.
//
//	events ─► story: the order's fold ─► its row, its returns     written anew
//	                                 └─► what it adds to sales    the difference is added
//
// A row is a function of its order's fold, so a view equals the fold of its events; whoever changes that function raises
// the version and has all rows made anew. A list waits until the projection has seen all that was durable when the list
// was asked for, so that an order is in its customer's next list.
package view

import (
	"context"
	"hash/crc32"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

// version of the rows; a higher one makes them anew.
const version = 2

// gather is how long events may wait for others while nobody reads: an order that is placed, dispatched and paid for
// within it is one row written once.
const gather = 50 * time.Millisecond

// Source is what the views are made of.
type Source struct {
	Store *sqlstore.Store
	Log   *eventlog.Log
	Shop  string
	Zone  *time.Location // decides days; UTC when nil

	// Recent gives an order as this process has left it, when it has a short while ago, so that its events need not be
	// folded once more; nil when nobody remembers.
	Recent func(orderID string) (order.Order, bool)
}

func (s Source) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

// Projection says how the rows follow the log. Days are part of them, so another zone makes them anew.
func (s Source) Projection() projection.Projection {
	p := &projector{Source: s, known: stories{}}
	return projection.Projection{
		Name: "order_view", Version: version<<32 | int(crc32.ChecksumIEEE([]byte(s.zone().String()))),
		Prepare: p.prepare, Reset: reset, Gather: gather,
	}
}

func reset(tx sqlstore.Tx) error {
	for _, table := range []string{"order_view", "return_view", "sales"} {
		if _, err := tx.Exec(`DELETE FROM ` + table); err != nil {
			return err
		}
	}
	return nil
}

// Orders reads the rows.
type Orders struct {
	Source
	rows *projection.Projector
}

// New reads the rows that the running projection keeps.
func New(s Source, rows *projection.Projector) *Orders { return &Orders{Source: s, rows: rows} }

// view reads once the rows show all that is durable now.
func (v *Orders) view(ctx context.Context, read func(tx sqlstore.Tx) error) error {
	head, err := v.Log.HeadNow(ctx)
	if err != nil {
		return err
	}
	if err := v.rows.WaitFor(ctx, head); err != nil {
		return err
	}
	return v.Store.View(ctx, read)
}
