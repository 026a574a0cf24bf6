package view

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/app"
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

// change is what some events, one after the other, have made of one order.
type change struct {
	events []*eventlog.Recorded
	story
	returns bool // its rows of returns change, too
}

// prepare folds a batch of events, and returns what writes the rows that they change.
func (p *projector) prepare(ctx context.Context, events []eventlog.Recorded) (func(tx sqlstore.Tx) error, error) {
	b := &batch{shop: p.Shop, zone: p.zone(), sales: tally{}, changed: byOrder(events)}
	for _, c := range b.changed {
		before, err := p.before(ctx, c.events[0])
		if err == nil {
			err = p.tell(c, before)
		}
		if err != nil {
			return nil, fmt.Errorf("view order %s: %w", c.events[0].Stream, err)
		}
		if c.touch(salesEvents) {
			b.sales.add(&before, b.zone, -1)
			b.sales.add(&c.story, b.zone, +1)
		}
		c.returns = c.touch(returnEvents)
		p.known.put(c.story)
	}
	return b.write, nil
}

// byOrder sorts events by the orders to which they happened.
func byOrder(events []eventlog.Recorded) (changed []*change) {
	of := make(map[string]*change)
	for i := range events {
		r := &events[i]
		if of[r.Stream] == nil {
			of[r.Stream] = &change{}
			changed = append(changed, of[r.Stream])
		}
		of[r.Stream].events = append(of[r.Stream].events, r)
	}
	return changed
}

// before is the order of an event as it stood before.
func (p *projector) before(ctx context.Context, r *eventlog.Recorded) (story, error) {
	if known, ok := p.known.at(r.Stream, r.Version-1); ok {
		return known, nil
	}
	return p.storyOf(ctx, r.Stream, r.Version-1)
}

// tell folds the events of one order, or takes what others have folded already: but they do not know when it was canceled.
func (p *projector) tell(c *change, before story) error {
	if c.story = before; before.Status == order.Absent && c.events[0].Type != app.PlacedName {
		return fmt.Errorf("%s before it was placed", c.events[0].Type)
	}
	last := c.events[len(c.events)-1]
	if p.Recent != nil && !c.touch(canceledEvent) {
		if o, ok := p.Recent(last.Stream); ok && o.Version == last.Version {
			c.Order = o
			return nil
		}
	}
	for _, r := range c.events {
		e, err := decode(r)
		if err == nil {
			err = c.take(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// The stored names of events that can change what an order adds to sales, and its returns.
var (
	canceledEvent = []string{"OrderCanceled"}
	salesEvents   = []string{app.PlacedName, "OrderConfirmed", "OrderRejected", "CancelRequested", "OrderCanceled", "CancelRefused", "ReturnReceived"}
	returnEvents  = []string{"ReturnOpened", "ReturnReceived", "ReturnClosed", "RefundRequested"}
)

// touch tells whether one of the events has one of these names.
func (c *change) touch(names []string) bool {
	return slices.ContainsFunc(c.events, func(r *eventlog.Recorded) bool { return slices.Contains(names, r.Type) })
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
		if err := tx.Do(`DELETE FROM sales WHERE shop = ? AND day = ? AND sku = ? AND currency = ?
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
			if err := tx.Do(`INSERT INTO `+into+` VALUES `+list(n, row)+conflict, values[:n*width]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// list is n times what, with commas between.
func list(n int, what string) string { return strings.Repeat(what+", ", n-1) + what }
