package app_test

import (
	"slices"
	"testing"

	"github.com/seed-21071466/souk/services/inventory/stock"
)

func TestFiguresAreListedWholeInPagesOfAnySize(t *testing.T) {
	s := open(t)
	for i, sku := range []string{"b", "a", "a-1", "c"} {
		s.have(sku, 10+i)
	}
	_, err := s.hold("ord_1", stock.Line{SKU: "a", Quantity: 4})
	must(t, err)
	for size := 1; size <= 5; size++ {
		var all []stock.Figure
		for after, more := "", true; more; more = after != "" {
			page, next, err := s.Figures(t.Context(), size, after)
			must(t, err)
			all, after = append(all, page...), next
		}
		told, err := s.Availability(t.Context(), []string{"a", "a-1", "b", "c"})
		must(t, err)
		if !slices.Equal(all, told) || told[0].Available != 7 || told[0].Revision != 2 {
			t.Errorf("in pages of %d: %+v, told are %+v", size, all, told)
		}
	}
	for what, ask := range map[string]func() error{
		"a page that is too large": func() error { _, _, err := s.Figures(t.Context(), 1001, ""); return err },
		"a SKU that cannot be":     func() error { _, _, err := s.Figures(t.Context(), 1, "not a sku"); return err },
	} {
		if ask() == nil {
			t.Errorf("%s is answered", what)
		}
	}
}
