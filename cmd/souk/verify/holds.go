package verify

import (
	"context"
	"maps"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// hold is what one order is still promised.
type hold struct {
	state  string
	pieces []piece
}

// holdPage is a page as inventory writes it.
type holdPage struct {
	client.Cursor
	Holds []struct {
		OrderID string `json:"order_id"`
		State   string `json:"state"`
		Lines   []struct {
			SKU      string `json:"sku"`
			Quantity int    `json:"quantity"`
		} `json:"lines"`
		Shipped  map[string]int `json:"shipped"`
		Returned map[string]int `json:"returned"`
	} `json:"holds"`
}

const holdsPath = "/api/audit/inventory/holds"

// readHolds reads what orders hold; it comes after the consumers have passed the watermark.
func (a *audit) readHolds(ctx context.Context) error {
	if !a.here("inventory") {
		return nil
	}
	b := a.books
	return readAll(ctx, a, &b.held, "holds", func(page *holdPage, _ func(string) bool) (rows int, last string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for i := range page.Holds {
			last = page.Holds[i].OrderID
			b.takeHold(page, i)
		}
		b.holds += len(page.Holds)
		return len(page.Holds), last
	})
}

// takeHold adds a hold to what its order has; an order may have several.
func (b *books) takeHold(page *holdPage, i int) {
	row := &page.Holds[i]
	m := b.of(row.OrderID)
	clear(b.tally)
	for _, line := range row.Lines {
		b.tally[line.SKU] += line.Quantity
	}
	if promised := b.piecesOf(b.tally, m.pieces); len(promised) > 0 {
		m.holds = append(m.holds, hold{b.word(row.State), promised})
	}
	m.shipped = b.more(m.shipped, row.Shipped, m.dispatched)
	m.restored = b.more(m.restored, row.Returned, m.returned)
}

// more adds pieces to those that are known.
func (b *books) more(known []piece, has map[string]int, like []piece) []piece {
	if len(has) == 0 {
		return known
	}
	if len(known) > 0 {
		has = maps.Clone(has)
		for _, p := range known {
			has[p.sku] += p.n
		}
	}
	return b.piecesOf(has, like)
}

// rereadHolds reads the holds of some orders again. The list is in the order of orders' ids.
func (b *books) rereadHolds(ctx context.Context, shop *client.Client, orders []string) error {
	for _, order := range orders {
		m := b.of(order)
		m.holds, m.shipped, m.restored = nil, nil, nil
	}
	return readAgain(ctx, shop, &b.held, orders, func(page *holdPage, wanted func(string) bool) (rows int, last string) {
		for i := range page.Holds {
			if last = page.Holds[i].OrderID; wanted(last) {
				b.takeHold(page, i)
			}
		}
		return len(page.Holds), last
	})
}
