package view

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

// projector makes rows of events.
type projector struct {
	Source
	known stories
}

// batch is what some events change.
type batch struct {
	shop    string
	zone    *time.Location
	changed []*change // in the order in which they were touched
	sales   tally
}

// change is one order that events have touched.
type change struct {
	story
	returns bool // its rows of returns change, too
}

// prepare folds a batch of events, and returns what writes the rows that they change.
func (p *projector) prepare(ctx context.Context, events []eventlog.Recorded) (func(tx sqlstore.Tx) error, error) {
	b := &batch{shop: p.Shop, zone: p.zone(), sales: tally{}}
	touched := make(map[string]*change)
	for i := range events {
		r := &events[i]
		c := touched[r.Stream]
		if c == nil {
			before, err := p.before(ctx, r)
			if err != nil {
				return nil, err
			}
			c = &change{story: before}
			touched[r.Stream], b.changed = c, append(b.changed, c)
		}
		if err := b.take(c, r); err != nil {
			return nil, fmt.Errorf("view order %s: %w", r.Stream, err)
		}
	}
	for _, c := range b.changed {
		p.known.put(c.story)
	}
	return b.write, nil
}

// before is the order of an event as it stood before.
func (p *projector) before(ctx context.Context, r *eventlog.Recorded) (story, error) {
	if known, ok := p.known.at(r.Stream, r.Version-1); ok {
		return known, nil
	}
	return p.storyOf(ctx, r.Stream, r.Version-1)
}

func (b *batch) take(c *change, r *eventlog.Recorded) error {
	e, err := decode(r)
	if err != nil {
		return err
	}
	if _, begins := e.(order.Placed); !begins && c.Status == order.Absent {
		return fmt.Errorf("%s before it was placed", r.Type)
	}
	sales, returns := moves(e)
	c.returns = c.returns || returns
	if !sales {
		return c.story.take(e)
	}
	b.sales.add(&c.story, b.zone, -1)
	err = c.story.take(e)
	b.sales.add(&c.story, b.zone, +1)
	return err
}

// moves tells whether an event can change what an order adds to sales, or its returns.
func moves(e order.Event) (sales, returns bool) {
	switch e.(type) {
	case order.Placed, order.ConfirmedEvent, order.RejectedEvent, order.CancelRequested, order.CanceledEvent, order.CancelRefused:
		return true, false
	case order.ReturnReceived:
		return true, true
	case order.ReturnOpened, order.ReturnClosed, order.RefundRequested:
		return false, true
	}
	return false, false
}

// write writes what changed.
func (b *batch) write(tx sqlstore.Tx) error {
	var rows, returns []any
	for _, c := range b.changed {
		row := rowOf(&c.story, b.zone)
		rows = append(rows, row.values(b.shop)...)
		if c.returns {
			returns = append(returns, returnValues(&c.story, b.shop)...)
		}
	}
	if err := insertRows(tx, `order_view (`+rowColumns+`)`, rowWidth, rows, rowChanges); err != nil {
		return err
	}
	if err := insertRows(tx, `return_view (`+returnColumns+`)`, returnWidth, returns, returnChanges); err != nil {
		return err
	}
	return b.writeSales(tx)
}

// writeSales adds to the rows of sales; one that comes to nothing is no row, however events came together in batches.
func (b *batch) writeSales(tx sqlstore.Tx) error {
	var sales []any
	keys := b.sales.keys()
	for _, k := range keys {
		f := b.sales[k]
		sales = append(sales, b.shop, k.day, k.sku, k.currency, f.orders, f.sold, f.revenue, f.returned, f.refunds)
	}
	if err := insertRows(tx, `sales (shop, day, sku, currency, orders, sold, revenue, returned, refunds)`, 9, sales, salesChanges); err != nil {
		return err
	}
	for _, k := range keys {
		if !b.sales[k].takes() {
			continue
		}
		if _, err := tx.Exec(`DELETE FROM sales WHERE shop = ? AND day = ? AND sku = ? AND currency = ?
			AND orders = 0 AND sold = 0 AND revenue = 0 AND returned = 0 AND refunds = 0`, b.shop, k.day, k.sku, k.currency); err != nil {
			return err
		}
	}
	return nil
}

// salesChanges adds what is new.
const salesChanges = ` ON CONFLICT (shop, day, sku, currency) DO UPDATE SET orders = sales.orders + excluded.orders, sold = sales.sold + excluded.sold,
	revenue = sales.revenue + excluded.revenue, returned = sales.returned + excluded.returned, refunds = sales.refunds + excluded.refunds`

// rowsMax bounds the rows of one statement.
const rowsMax = 64

// insertRows writes rows of a width in statements of 64, 32, … 1 rows: few texts, so that each is prepared once.
func insertRows(tx sqlstore.Tx, into string, width int, values []any, conflict string) error {
	row := "(" + list(width, "?") + ")"
	for n := rowsMax; len(values) > 0; n = max(n/2, 1) {
		for ; len(values) >= n*width; values = values[n*width:] {
			if _, err := tx.Exec(`INSERT INTO `+into+` VALUES `+list(n, row)+conflict, values[:n*width]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// list is n times what, with commas between.
func list(n int, what string) string { return strings.Repeat(what+", ", n-1) + what }
