package verify

import (
	"context"
	"slices"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

// shipment is what shipping says of an order, by SKU.
type shipment struct {
	state      string
	ordered    []piece
	dispatched []piece
}

// shipmentPage is a page as shipping writes it, without its parcels.
type shipmentPage struct {
	client.Cursor
	Shipments []struct {
		OrderID string `json:"order_id"`
		State   string `json:"state"`
		Lines   []struct {
			SKU        string `json:"sku"`
			Quantity   int    `json:"quantity"`
			Dispatched int    `json:"dispatched"`
		} `json:"lines"`
	} `json:"shipments"`
}

const (
	shipmentsPath = "/api/shipments"
	shipmentRows  = 200 // of a page; the room allows no more
)

// readShipments reads what is sent; it comes after the consumers have passed the watermark.
func (a *audit) readShipments(ctx context.Context) error {
	if !a.here("shipping") {
		return nil
	}
	err := readAll(ctx, a, &a.books.sent, "shipments", func(page *shipmentPage, wanted func(string) bool) (rows int, last string) {
		rows, last = a.books.takeShipments(page, wanted)
		a.books.shipments += rows
		return rows, last
	})
	_, err = present(err)
	return err
}

// rereadShipments reads the shipments of some orders again. The list is in the order of orders' ids.
func (b *books) rereadShipments(ctx context.Context, shop *client.Client, orders []string) error {
	for _, order := range orders {
		b.of(order).shipment = nil
	}
	return readAgain(ctx, shop, &b.sent, orders, b.takeShipments)
}

func (b *books) takeShipments(page *shipmentPage, wanted func(string) bool) (rows int, last string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range page.Shipments {
		row := &page.Shipments[i]
		if last = row.OrderID; !wanted(last) {
			continue
		}
		m, s := b.of(row.OrderID), &shipment{state: b.word(row.State)}
		clear(b.tally)
		for _, line := range row.Lines {
			b.tally[line.SKU] += line.Quantity
		}
		s.ordered = b.piecesOf(b.tally, m.pieces)
		clear(b.tally)
		for _, line := range row.Lines {
			b.tally[line.SKU] += line.Dispatched
		}
		s.dispatched = b.piecesOf(b.tally, m.dispatched, s.ordered)
		m.shipment = s
	}
	return len(page.Shipments), last
}

// differ says that two lists of pieces are not the same.
func differ(x, y []piece) bool { return !slices.Equal(x, y) }
