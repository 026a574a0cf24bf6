package app

import (
	"fmt"
	"slices"

	"github.com/seed-21071466/souk/services/inventory/stock"
)

// The kinds of facts that are heard by an id of their own.
const (
	factShipped  = "shipped"
	factReturned = "returned"
	factReleased = "released"
)

// fact is a parcel, a return or a release of lines.
type fact struct{ order, id string }

// hear writes facts of a kind down and returns those that were not heard before, each once.
func hear[F any](r rows, kind string, heard []F, of func(F) fact) (fresh []F, err error) {
	isFresh := make(map[fact]bool, len(heard))
	for some := range slices.Chunk(heard, rowsMax) {
		values := make([]any, 0, 4*rowsMax)
		for i := range padding(len(some)) {
			f := of(some[min(i, len(some)-1)]) // one that is named twice is fresh once
			values = append(values, r.shop, f.order, kind, f.id)
		}
		if err := r.insertFacts(isFresh, values); err != nil {
			return nil, fmt.Errorf("record %d facts of orders: %w", len(heard), err)
		}
	}
	for _, one := range heard {
		if f := of(one); isFresh[f] {
			fresh = append(fresh, one)
			delete(isFresh, f)
		}
	}
	return fresh, nil
}

func (r rows) insertFacts(fresh map[fact]bool, values []any) error {
	found, err := r.Query(`INSERT INTO order_facts (shop, order_id, kind, fact_id) VALUES `+tuples(len(values)/4, "(?,?,?,?)")+
		` ON CONFLICT (order_id, kind, fact_id) DO NOTHING RETURNING order_id, fact_id`, values...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		var f fact
		if err := found.Scan(&f.order, &f.id); err != nil {
			return err
		}
		fresh[f] = true
	}
	return found.Err()
}

// selectMoved reads what left for an order and what came back, by SKU and location.
func (r rows) selectMoved(order string) ([]stock.Moved, error) {
	found, err := r.Query(`SELECT sku, location_id, SUM(CASE WHEN kind = 'shipped' THEN -delta ELSE 0 END),
		SUM(CASE WHEN kind = 'returned' THEN delta ELSE 0 END)
		FROM movements WHERE order_id = ? AND order_id <> '' GROUP BY sku, location_id ORDER BY sku, location_id`, order)
	if err != nil {
		return nil, fmt.Errorf("read what left for order %s: %w", order, err)
	}
	defer found.Close()
	moved := []stock.Moved{}
	for found.Next() {
		var m stock.Moved
		if err := found.Scan(&m.SKU, &m.Location, &m.Shipped, &m.Returned); err != nil {
			return nil, err
		}
		moved = append(moved, m)
	}
	return moved, found.Err()
}

// selectGivenUp reads what an order gave up, by SKU.
func (r rows) selectGivenUp(order string) (map[string]int, error) {
	found, err := r.Query(`SELECT sku, SUM(quantity) FROM given_up WHERE order_id = ? GROUP BY sku`, order)
	if err != nil {
		return nil, fmt.Errorf("read what order %s gave up: %w", order, err)
	}
	defer found.Close()
	gave := make(map[string]int)
	for found.Next() {
		var sku string
		var n int
		if err := found.Scan(&sku, &n); err != nil {
			return nil, err
		}
		gave[sku] += n
	}
	return gave, found.Err()
}

func (r rows) insertGivenUp(order, release string, lines []stock.Line) error {
	values := make([]any, 0, 5*len(lines))
	for _, line := range stock.Merge(lines) {
		values = append(values, r.shop, order, release, line.SKU, line.Quantity)
	}
	if err := r.insert(insertGivenUp, values); err != nil {
		return fmt.Errorf("record what order %s gave up: %w", order, err)
	}
	return nil
}

var insertGivenUp = newInsert(`given_up (shop, order_id, release_id, sku, quantity)`, ``)
