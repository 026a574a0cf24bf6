package app_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// list is all pages of a query, as kinds with their numbers.
func (s *shop) list(q app.MovementQuery) (listed []string) {
	s.t.Helper()
	for more := true; more; more = q.Before > 0 {
		page, next, err := s.Movements(context.Background(), q)
		must(s.t, err)
		for _, m := range page {
			listed = append(listed, fmt.Sprint(m.Kind, " ", m.Number))
		}
		q.Before = next
	}
	return listed
}

func TestMovementsAreSelected(t *testing.T) {
	s := open(t)
	s.have("A", 9) // 1
	s.have("B", 9) // 2
	s.clock.Advance(24 * time.Hour)
	s.ship("ord_1", "prc_1", stock.Line{SKU: "A", Quantity: 2}, stock.Line{SKU: "B", Quantity: 1}) // 3, 4
	s.clock.Advance(24 * time.Hour)
	s.ship("ord_2", "prc_1", stock.Line{SKU: "A", Quantity: 1})                                       // 5
	s.takeBack("ord_1", "ret_1", stock.Back{Line: stock.Line{SKU: "A", Quantity: 1}})                 // 6
	s.takeBack("ord_1", "ret_2", stock.Back{Line: stock.Line{SKU: "A", Quantity: 1}, WriteOff: true}) // 7, 8
	day := func(n int) time.Time { return start.Truncate(24*time.Hour).AddDate(0, 0, n) }
	cases := []struct {
		name string
		q    app.MovementQuery
		want []string
	}{
		{"all, newest first", app.MovementQuery{}, []string{"written_off 8", "returned 7", "returned 6", "shipped 5", "shipped 3", "adjusted 1"}},
		{"of a kind", app.MovementQuery{Kind: stock.Dispatched}, []string{"shipped 5", "shipped 3"}},
		{"of an order", app.MovementQuery{Order: "ord_1"}, []string{"written_off 8", "returned 7", "returned 6", "shipped 3"}},
		{"of an order and a kind", app.MovementQuery{Order: "ord_1", Kind: stock.Returned}, []string{"returned 7", "returned 6"}},
		{"from a day on", app.MovementQuery{Since: day(2)}, []string{"written_off 8", "returned 7", "returned 6", "shipped 5"}},
		{"before a day", app.MovementQuery{Until: day(1)}, []string{"adjusted 1"}},
		{"of a day", app.MovementQuery{Since: day(1), Until: day(2)}, []string{"shipped 3"}},
		{"of an order on a day", app.MovementQuery{Order: "ord_1", Since: day(1), Until: day(2)}, []string{"shipped 3"}},
		{"of an order that never was", app.MovementQuery{Order: "ord_9"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.q.SKU = "A"
			for _, size := range []int{0, 1, 2} {
				c.q.Size = size
				if got := s.list(c.q); !slices.Equal(got, c.want) {
					t.Errorf("in pages of %d: %v, want %v", size, got, c.want)
				}
			}
		})
	}
}

func TestALedgerOfSeveralVolumesIsListedWhole(t *testing.T) {
	s := open(t)
	const all = 20_000 // more than two volumes
	s.have("rare", 1)
	for n := 1; n < all; {
		counts := make([]stock.Count, min(app.MovementsMax, all-n))
		for i := range counts {
			counts[i] = stock.Count{SKU: fmt.Sprint("SKU", i%250), Location: stock.Main, OnHand: n + i}
		}
		adjusted, err := s.Count(context.Background(), app.CountCommand{Counts: counts}, staff)
		must(t, err)
		n += adjusted
	}
	s.have("rare", 2)
	if got := s.list(app.MovementQuery{SKU: "rare"}); !slices.Equal(got, []string{"adjusted 20001", "adjusted 1"}) {
		t.Errorf("the rare one is listed as %v", got)
	}
	listed := s.list(app.MovementQuery{SKU: "SKU7", Size: 7})
	if len(listed) != all/250 || !slices.IsSortedFunc(listed, func(a, b string) int { return len(b) - len(a) }) {
		t.Errorf("%d of %d movements are listed", len(listed), all/250)
	}
	s.clean()
}

func TestABadQueryNamesTheField(t *testing.T) {
	s := open(t)
	for field, q := range map[string]app.MovementQuery{
		"sku":       {SKU: "not a sku"},
		"kind":      {SKU: "A", Kind: "stolen"},
		"order_id":  {SKU: "A", Order: "no order"},
		"page_size": {SKU: "A", Size: 201},
	} {
		_, _, err := s.Movements(context.Background(), q)
		if p := problem.Of(err); p == nil || p.Violations[0].Field != field {
			t.Errorf("%+v is %+v, want field %s", q, p, field)
		}
	}
	for _, token := range []string{"x", "mov_", "mov_x", "mov_-1", "ord_0000000000000001"} {
		if _, err := app.MovementNumber(token); err == nil {
			t.Errorf("%q is taken for a cursor", token)
		}
	}
	if n, err := app.MovementNumber(app.MovementID(8193)); err != nil || n != 8193 {
		t.Errorf("a cursor is read as %d, %v", n, err)
	}
}
