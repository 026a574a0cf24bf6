package app

import (
	"fmt"
	"slices"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// Confirmation is the fact that an order was confirmed.
type Confirmation struct {
	Order string
	Lines []stock.Line
	Meta  eventlog.Meta
}

// Confirm turns what orders hold into allocations. It is the answer to facts and refuses nothing: what an order does not
// hold any more is allocated all the same, and owed where nothing is left. Orders that hold all that they should, which
// are nearly all, are allocated together.
func (inv *Inventory) Confirm(tx sqlstore.Tx, confirmed []Confirmation) error {
	r := rows{tx, inv.Shop}
	for some := range slices.Chunk(confirmed, rowsMax) {
		rest, err := r.allocateWhole(some)
		if err != nil {
			return err
		}
		for _, c := range rest {
			if err := inv.confirm(r, c.Order, c.Lines, c.Meta); err != nil {
				return err
			}
		}
	}
	return nil
}

// allocateWhole allocates the holds of orders that hold all their lines, and returns the other ones.
func (r rows) allocateWhole(confirmed []Confirmation) (rest []Confirmation, err error) {
	holds, err := r.selectHoldsOf(confirmed)
	if err != nil {
		return nil, err
	}
	orders, levels := make([]any, 0, len(confirmed)), make(map[stock.Piece]bool, 2*len(confirmed))
	for _, c := range confirmed {
		if slices.Contains(orders, any(c.Order)) || !stock.Holding(holds[c.Order], c.Lines) {
			rest = append(rest, c)
			continue
		}
		orders = append(orders, c.Order)
		for _, h := range holds[c.Order] {
			for _, p := range h.Pieces {
				if h.State == stock.Held {
					levels[stock.Piece{SKU: p.SKU, Location: p.Location}] = true
				}
			}
		}
	}
	if len(levels) == 0 {
		return rest, nil
	}
	return rest, r.allocateHeld(orders, len(levels))
}

// allocateHeld is stock.Shelf.Allocate for all that orders hold, at so many levels.
func (r rows) allocateHeld(orders []any, levels int) error {
	of := `state = 'held' AND order_id IN (` + tuples(len(orders), "?") + `)`
	n, err := r.Exec(`UPDATE levels SET held = held - p.quantity, allocated = allocated + p.quantity FROM
		(SELECT l.shop, l.sku, l.location_id, SUM(l.quantity) AS quantity
			FROM (SELECT order_id, run_id FROM order_holds WHERE `+of+`) h
			JOIN hold_lines l ON l.order_id = h.order_id AND l.run_id = h.run_id GROUP BY l.shop, l.sku, l.location_id) p
		WHERE levels.shop = p.shop AND levels.sku = p.sku AND levels.location_id = p.location_id`, orders...)
	if err == nil && n != int64(levels) {
		err = fmt.Errorf("%d levels hold their pieces, not %d", n, levels)
	}
	if err == nil {
		_, err = r.Exec(`UPDATE order_holds SET state = 'allocated' WHERE `+of, orders...)
	}
	if err != nil {
		return fmt.Errorf("allocate what %d orders hold: %w", len(orders), err)
	}
	return nil
}

// confirm is one order, whatever it holds.
func (inv *Inventory) confirm(r rows, order string, lines []stock.Line, meta eventlog.Meta) error {
	holds, err := r.selectHolds(order)
	if err != nil {
		return err
	}
	shelf, err := r.loadHolds(holds, lines)
	if err != nil {
		return err
	}
	allocated, late := shelf.Confirm(order, holds, lines)
	for _, h := range allocated {
		if err := r.updateState(h, stock.Allocated); err != nil {
			return err
		}
	}
	if late != nil {
		if err := inv.insertLate(r, *late); err != nil {
			return err
		}
	}
	return inv.change(r, shelf, order, CauseAllocated, order, meta)
}

func (inv *Inventory) insertLate(r rows, late stock.Hold) error {
	late.At = inv.Clock.Now()
	late.Deadline = late.At
	if _, err := r.insertHold(late); err != nil {
		return err
	}
	r.AfterCommit(func() {
		inv.Slog.Warn("an order was confirmed without the stock that it should hold; it is allocated now",
			"order", late.Order, "pieces", count(late.Pieces), "owed", owed(late.Pieces))
	})
	return r.insertPieces(late)
}
