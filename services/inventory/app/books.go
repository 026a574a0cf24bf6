package app

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// books are the sums of one snapshot of the rows, made in a few passes, and the report that they lead to. What they keep
// grows with the SKUs, not with the orders.
type books struct {
	r      rows
	report *Report
	places map[place]*sums
	skus   map[string]*skuSums
}

func (b *books) at(sku, location string) *sums {
	at := place{sku, location}
	s := b.places[at]
	if s == nil {
		s = &sums{}
		b.places[at] = s
	}
	return s
}

func (b *books) of(sku string) *skuSums {
	s := b.skus[sku]
	if s == nil {
		s = &skuSums{}
		b.skus[sku] = s
	}
	return s
}

func (b *books) inOrder() []place {
	return slices.SortedFunc(maps.Keys(b.places), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.sku, b.sku), cmp.Compare(a.location, b.location))
	})
}

func (b *books) inOrderOfSKU() []string { return slices.Sorted(maps.Keys(b.skus)) }

// each runs a query and hands its rows over one by one, as checked.
func (b *books) each(query string, args []any, row func(*sqlstore.Rows) error) error {
	return b.again(query, args, func(found *sqlstore.Rows) error {
		b.report.Checked++
		return row(found)
	})
}

// again is each for rows that are checked already.
func (b *books) again(query string, args []any, row func(*sqlstore.Rows) error) error {
	found, err := b.r.Query(query, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		if err := row(found); err != nil {
			return err
		}
	}
	return found.Err()
}

func (b *books) readLevels() error {
	err := b.each(`SELECT sku, backorder FROM skus`, nil, func(row *sqlstore.Rows) error {
		var sku string
		var backorder bool
		err := row.Scan(&sku, &backorder)
		s := b.of(sku)
		s.listed, s.backorder = true, backorder
		return err
	})
	if err != nil {
		return err
	}
	return b.each(`SELECT sku, location_id, on_hand, held, allocated FROM levels`, nil, func(row *sqlstore.Rows) error {
		var at place
		l := sums{level: true}
		err := row.Scan(&at.sku, &at.location, &l.onHand, &l.held, &l.allocated)
		b.places[at] = &l
		b.of(at.sku).available += l.onHand - l.held - l.allocated
		return err
	})
}

func (b *books) readMovements() error {
	return b.each(`SELECT sku, location_id, delta, short FROM movements`, nil, func(row *sqlstore.Rows) error {
		var sku, location string
		var delta, short int
		err := row.Scan(&sku, &location, &delta, &short)
		s := b.at(sku, location)
		s.moved, s.movements = s.moved+delta, true
		b.of(sku).short += short
		return err
	})
}

// dealing is an order and a SKU.
type dealing struct{ order, sku string }

// dealt is what an order was promised of a SKU, what left and what came back.
type dealt struct{ promised, shipped, returned int }

// readOrders goes through the holds in the order of orders, page by page, and beside them through their lines and what the
// ledger says of the same orders.
func (b *books) readOrders() error {
	after, from, dealings := "", stock.Hold{}, make(map[dealing]dealt)
	for more := true; more; {
		holds, err := b.readHolds(from)
		if err != nil {
			return err
		}
		upTo := lastOrder
		if more = len(holds) == HoldsDefault; more {
			holds = wholeOrders(holds)
			from = holds[len(holds)-1]
			upTo = from.Order
		}
		if err := b.readLines(after, upTo, holds); err != nil {
			return err
		}
		clear(dealings)
		for i := range holds {
			b.checkHold(&holds[i], dealings)
		}
		if err := b.readDealings(after, upTo, dealings); err != nil {
			return err
		}
		b.checkDealings(dealings)
		after = upTo
	}
	return nil
}

// readHolds reads a page of holds without their lines.
func (b *books) readHolds(from stock.Hold) (holds []stock.Hold, err error) {
	err = b.each(`SELECT order_id, run_id, state FROM order_holds WHERE (order_id, run_id) > (?, ?) ORDER BY order_id, run_id LIMIT ?`,
		[]any{from.Order, from.Run, HoldsDefault}, func(row *sqlstore.Rows) error {
			var h stock.Hold
			var state string
			err := row.Scan(&h.Order, &h.Run, &state)
			h.State = stock.State(state)
			holds = append(holds, h)
			return err
		})
	return holds, err
}

// readLines gives each hold of a page its lines, which come in the same order.
func (b *books) readLines(after, upTo string, holds []stock.Hold) error {
	return b.each(`SELECT order_id, run_id, sku, location_id, quantity, backordered, gone FROM hold_lines
		WHERE order_id > ? AND order_id <= ? ORDER BY order_id, run_id`, []any{after, upTo}, func(row *sqlstore.Rows) error {
		var order, run string
		var p stock.Piece
		if err := row.Scan(&order, &run, &p.SKU, &p.Location, &p.Quantity, &p.Backordered, &p.Gone); err != nil {
			return err
		}
		for len(holds) > 0 && cmp.Or(cmp.Compare(holds[0].Order, order), cmp.Compare(holds[0].Run, run)) < 0 {
			holds = holds[1:]
		}
		if len(holds) == 0 || holds[0].Order != order || holds[0].Run != run {
			b.report.broken(lineHasOwner, order, p.SKU, 0, p.Quantity)
			return nil
		}
		holds[0].Pieces = append(holds[0].Pieces, p)
		return nil
	})
}

// lastOrder is beyond every order's id.
const lastOrder = "~"

// wholeOrders leaves the last order of a page to the next one, unless it is alone: it may go on there.
func wholeOrders(holds []stock.Hold) []stock.Hold {
	last := holds[len(holds)-1].Order
	from := slices.IndexFunc(holds, func(h stock.Hold) bool { return h.Order == last })
	if from == 0 {
		return holds
	}
	return holds[:from]
}

func (b *books) readDealings(after, upTo string, dealings map[dealing]dealt) error {
	return b.again(`SELECT order_id, sku, kind, delta FROM movements WHERE order_id > ? AND order_id <= ? AND order_id <> ''`,
		[]any{after, upTo}, func(row *sqlstore.Rows) error {
			var of dealing
			var kind string
			var delta int
			err := row.Scan(&of.order, &of.sku, &kind, &delta)
			d := dealings[of]
			switch stock.Kind(kind) {
			case stock.Dispatched:
				d.shipped -= delta
			case stock.Returned:
				d.returned += delta
			}
			dealings[of] = d
			return err
		})
}
