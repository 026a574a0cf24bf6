package app_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

func BenchmarkHoldOfTwoLines(b *testing.B) {
	s := open(b)
	for i := range 100 {
		s.have(fmt.Sprint("SKU", i), stock.PiecesMax)
	}
	var n atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			command := app.HoldCommand{Order: fmt.Sprint("ord_", i), Run: "r", Lines: []stock.Line{
				{SKU: fmt.Sprint("SKU", i%100), Quantity: 1}, {SKU: fmt.Sprint("SKU", (i+7)%100), Quantity: 1},
			}}
			if _, err := s.Hold(context.Background(), command, staff); err != nil {
				b.Error(err)
			}
		}
	})
}
