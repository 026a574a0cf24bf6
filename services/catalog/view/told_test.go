package view_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/catalog/view"
)

// told walks all that the view was told, in pages of that size: "sku channel price available".
func (s *shop) told(t testing.TB, size int) (all []string) {
	t.Helper()
	for after := (view.ToldKey{}); ; {
		page, next, err := s.Told(t.Context(), after, size)
		must(t, err)
		if len(page) > size || next != nil && len(page) < size {
			t.Errorf("a page of %d rows, asked were %d", len(page), size)
		}
		for _, row := range page {
			all = append(all, fmt.Sprintf("%s %s %d@%d %d@%d", row.SKU, row.Channel, row.Price.Price.Minor, row.Price.Revision,
				row.Stock.Available, row.Stock.Revision))
		}
		if next == nil {
			return all
		}
		after = *next
	}
}

func TestWhatWasToldIsListedWholeInPagesOfAnySize(t *testing.T) {
	s := fresh(t)
	of := func(sku string, minor int64) view.Price {
		return view.Price{SKU: sku, Price: money.Of(minor, "GBP"), From: noon, Revision: 2}
	}
	s.price(t, of("b", 1), of("d", 2), of("e", 3))
	must(t, s.store.Update(t.Context(), func(tx sqlstore.Tx) error {
		return s.ApplyPrices(tx, "trade", []view.Price{of("b", 4), of("f", 5)})
	}))
	for i, sku := range []string{"a", "b", "c", "c-1", "e", "g", "h"} {
		s.stock(t, view.Stock{SKU: sku, Available: int32(i) - 1, Revision: int64(i + 1)})
	}
	want := []string{
		"a  0@0 -1@1", "b trade 4@2 0@2", "b web 1@2 0@2", "c  0@0 1@3", "c-1  0@0 2@4", "d web 2@2 0@0", "e web 3@2 3@5", "f trade 5@2 0@0",
		"g  0@0 4@6", "h  0@0 5@7",
	}
	for size := 1; size <= len(want)+1; size++ {
		if got := s.told(t, size); !slices.Equal(got, want) {
			t.Errorf("in pages of %d:\n%q, want\n%q", size, got, want)
		}
	}
	page, _, err := s.Told(t.Context(), view.ToldKey{SKU: "a"}, 1)
	must(t, err)
	expect(t, "the price holds from", page[0].Price.From, noon)
	expect(t, "and until", page[0].Price.Until.IsZero(), true)
}

func BenchmarkAHundredThousandSKUsTold(b *testing.B) {
	const skus = 100_000
	s := fresh(b)
	for from := 0; from < skus; from += 1000 {
		prices, figures := make([]view.Price, 1000), make([]view.Stock, 1000)
		for i := range prices {
			sku := fmt.Sprintf("sku-%06d", from+i)
			prices[i] = view.Price{SKU: sku, Price: money.Of(255, "GBP"), Revision: 1}
			figures[i] = view.Stock{SKU: sku, Available: 5, Revision: 1}
		}
		s.price(b, prices...)
		s.stock(b, figures...)
	}
	for b.Loop() {
		if n := len(s.told(b, view.ToldMax)); n != skus {
			b.Fatal(n, "rows")
		}
	}
}
