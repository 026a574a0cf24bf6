package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// ListedHold is a hold, and on the first of an order's also what left for the order and what came back, by SKU.
type ListedHold struct {
	stock.Hold
	Shipped  map[string]int
	Returned map[string]int
}

// Holds lists holds and allocations by order, after the hold that the token names; all but released ones when state is "".
func (inv *Inventory) Holds(ctx context.Context, state stock.State, size int, after string) (page []ListedHold, next string, err error) {
	if size, err = pageSize(size, HoldsDefault, HoldsMax); err != nil {
		return nil, "", err
	}
	if state != "" && state != stock.Released && !state.Live() {
		return nil, "", problem.Field("state", "invalid", `must be "held", "allocated", "released" or "shipped"`)
	}
	from, err := parseHoldToken(after)
	if err != nil {
		return nil, "", err
	}
	err = inv.view(ctx, func(r rows) error {
		page, next, err = r.listHolds(state, size, from)
		return err
	})
	return page, next, err
}

func (r rows) listHolds(state stock.State, size int, from stock.Hold) (page []ListedHold, next string, err error) {
	holds, err := r.selectHoldPage(state, size+1, from)
	if err != nil || len(holds) == 0 {
		return nil, "", err
	}
	if len(holds) > size {
		holds = holds[:size]
		next = holds[size-1].Order + "~" + holds[size-1].Run
	}
	page = make([]ListedHold, len(holds))
	first, orders := make(map[string]*ListedHold, len(holds)), make([]any, 0, len(holds))
	for i, h := range holds {
		slices.SortFunc(h.Pieces, func(a, b stock.Piece) int {
			return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Location, b.Location))
		})
		page[i].Hold = h
		if h.Order != from.Order && first[h.Order] == nil {
			first[h.Order], orders = &page[i], append(orders, h.Order)
		}
	}
	for some := range slices.Chunk(orders, rowsMax) {
		if err := r.addMoved(first, some); err != nil {
			return nil, "", err
		}
	}
	return page, next, nil
}

// addMoved tells what left for orders and what came back.
func (r rows) addMoved(listed map[string]*ListedHold, orders []any) error {
	found, err := r.Query(`SELECT order_id, sku, SUM(CASE WHEN kind = 'shipped' THEN -delta ELSE 0 END),
		SUM(CASE WHEN kind = 'returned' THEN delta ELSE 0 END)
		FROM movements WHERE order_id IN (`+some(orders)+`) AND order_id <> '' GROUP BY order_id, sku`, padded(orders)...)
	if err != nil {
		return fmt.Errorf("read what left for orders: %w", err)
	}
	defer found.Close()
	for found.Next() {
		var order, sku string
		var shipped, returned int
		if err := found.Scan(&order, &sku, &shipped, &returned); err != nil {
			return err
		}
		h := listed[order]
		h.Shipped, h.Returned = with(h.Shipped, sku, shipped), with(h.Returned, sku, returned)
	}
	return found.Err()
}

// with adds pieces of a SKU, if there are any.
func with(pieces map[string]int, sku string, n int) map[string]int {
	if n == 0 {
		return pieces
	}
	if pieces == nil {
		pieces = make(map[string]int)
	}
	pieces[sku] = n
	return pieces
}
