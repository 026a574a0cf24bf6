package wire

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// location is the one named, or the default one.
func location(id string) string {
	if id == "" {
		return stock.Main
	}
	return id
}

func readMovements(list []*inventoryv1.Movement) []stock.Movement {
	moves := make([]stock.Movement, len(list))
	for i, m := range list {
		kind := stock.Kind(m.GetKind())
		moves[i] = stock.Movement{
			SKU: m.GetSku(), Location: location(m.GetLocationId()), Kind: kind,
			Delta: kind.Delta(int(m.GetQuantity())), Reason: m.GetReason(),
		}
	}
	return moves
}

func movements(list []stock.Movement) []*inventoryv1.Movement {
	messages := make([]*inventoryv1.Movement, len(list))
	for i, m := range list {
		messages[i] = &inventoryv1.Movement{
			Id: app.MovementID(m.Number), Sku: m.SKU, LocationId: m.Location, Kind: string(m.Kind), Quantity: clamp(m.Quantity()),
			Reason: m.Reason, At: timestamppb.New(m.At), Actor: m.Actor, OrderId: m.Order,
		}
	}
	return messages
}

// day is the beginning of a day in UTC; none when text is empty.
func day(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	begins, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, problem.Field(field, "invalid", "must be a day, such as 2011-07-31")
	}
	return begins, nil
}

// promisedLines reads the lines of a hold or a release.
func promisedLines(list []*inventoryv1.HoldLine) []stock.Line {
	lines := make([]stock.Line, len(list))
	for i, line := range list {
		lines[i] = stock.Line{SKU: line.GetSku(), Quantity: int(line.GetQuantity())}
	}
	return lines
}

func heldLines(pieces []stock.Piece) []*inventoryv1.HeldLine {
	lines := make([]*inventoryv1.HeldLine, len(pieces))
	for i, p := range pieces {
		lines[i] = &inventoryv1.HeldLine{
			Sku: p.SKU, LocationId: p.Location, Quantity: clamp(p.Quantity), Backordered: clamp(p.Backordered),
		}
	}
	return lines
}

func available(f stock.Figure) *inventoryv1.Available {
	a := &inventoryv1.Available{Sku: f.SKU, Available: clamp(max(0, f.Available)), Backorder: f.Policy.Backorder}
	if left, unbounded := f.Sellable(); f.Policy.Backorder && !unbounded {
		a.BackorderLeft = clamp(left)
	}
	return a
}

func stockOf(item *stock.Item) *inventoryv1.Stock {
	m := &inventoryv1.Stock{
		Sku: item.SKU, Available: clamp(item.Available()),
		Policy: &inventoryv1.Policy{Backorder: item.Policy.Backorder, BackorderLimit: clamp(item.Policy.Limit)},
		Levels: make([]*inventoryv1.StockLevel, len(item.Levels)),
	}
	for i := range item.Levels {
		l := &item.Levels[i]
		m.Levels[i] = &inventoryv1.StockLevel{
			LocationId: l.Location, OnHand: clamp(l.OnHand), Held: clamp(l.Held), Allocated: clamp(l.Allocated),
		}
	}
	onHand, held, allocated := item.Sums()
	m.OnHand, m.Held, m.Allocated = clamp(onHand), clamp(held), clamp(allocated)
	return m
}

// clamp fits a sum into the contract's 32 bits.
func clamp(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }
