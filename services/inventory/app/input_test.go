package app_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

func TestBadInputNamesTheField(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	good := stock.Line{SKU: "A", Quantity: 1}
	hold := func(order string, lines ...stock.Line) error { _, err := s.hold(order, lines...); return err }
	record := func(m stock.Movement) error {
		_, err := s.Record(ctx, app.RecordCommand{Key: idem.Key{Key: "k"}, Movements: []stock.Movement{m}}, staff)
		return err
	}
	count := func(c stock.Count) error {
		_, err := s.Count(ctx, app.CountCommand{Counts: []stock.Count{c}}, staff)
		return err
	}
	policy := func(p stock.Policy) error { _, err := s.PutPolicy(ctx, "A", p, staff); return err }
	cases := []struct {
		name  string
		err   error
		field string
	}{
		{"a hold of no order", hold("", good), "order_id"},
		{"a hold without lines", hold("o"), "lines"},
		{"a line without a SKU", hold("o", good, stock.Line{Quantity: 1}), "lines[1].sku"},
		{"a line of nothing", hold("o", stock.Line{SKU: "A"}), "lines[0].quantity"},
		{"a line of too many", hold("o", stock.Line{SKU: "A", Quantity: 1_000_001}), "lines[0].quantity"},
		{"a movement of nothing", record(stock.Movement{SKU: "A", Kind: stock.Received}), "movements[0].quantity"},
		{"a negative reception", record(stock.Movement{SKU: "A", Kind: stock.Received, Delta: -1}), "movements[0].quantity"},
		{"a kind that only the room writes", record(stock.Movement{SKU: "A", Kind: stock.Dispatched, Delta: -1}), "movements[0].kind"},
		{"a reason that is too long", record(stock.Movement{SKU: "A", Kind: stock.Received, Delta: 1, Reason: strings.Repeat("é", 201)}), "movements[0].reason"},
		{"a location that is not there", record(stock.Movement{SKU: "A", Location: "moon", Kind: stock.Received, Delta: 1}), "movements[0].location_id"},
		{"a write-off of what is not there", record(stock.Movement{SKU: "A", Location: "main", Kind: stock.WrittenOff, Delta: -1}), "movements[0].quantity"},
		{"a negative count", count(stock.Count{SKU: "A", Location: "main", OnHand: -1}), "counts[0].on_hand"},
		{"a count at a location that is not there", count(stock.Count{SKU: "A", Location: "moon"}), "counts[0].location_id"},
		{"a limit without backorder", policy(stock.Policy{Limit: 2}), "policy.backorder_limit"},
		{"a location without a name", s.PutLocation(ctx, app.Location{ID: "x"}), "location.name"},
		{"a location with a bad id", s.PutLocation(ctx, app.Location{ID: "a/b", Name: "x"}), "location.id"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			refusal := problem.Of(c.err)
			if refusal == nil || len(refusal.Violations) == 0 || refusal.Violations[0].Field != c.field {
				t.Errorf("refused with %+v, want field %s", c.err, c.field)
			}
		})
	}
}

func TestCountsOfAnImportDoNotUndoTrade(t *testing.T) {
	s := open(t)
	s.have("A", 5)
	_, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 2})
	must(t, err)
	adjusted, err := s.Count(context.Background(), app.CountCommand{OnlyNew: true, Counts: []stock.Count{
		{SKU: "A", Location: stock.Main, OnHand: 50}, {SKU: "B", Location: stock.Main, OnHand: 7}, {SKU: "C", Location: stock.Main},
	}}, staff)
	must(t, err)
	if adjusted != 1 || s.level("A") != [4]int{5, 2, 0, 3} || s.level("B") != [4]int{7, 0, 0, 7} || s.level("C") != [4]int{} {
		t.Errorf("%d adjusted: A %v, B %v, C %v", adjusted, s.level("A"), s.level("B"), s.level("C"))
	}
	s.clean()
}

func TestLocationsGiveByPriorityThenID(t *testing.T) {
	s := open(t)
	ctx := context.Background()
	for _, l := range []app.Location{{"z", "Z", -1}, {"b", "B", 5}, {"a", "A", 5}, {"main", "Main", 9}} {
		must(t, s.PutLocation(ctx, l))
		_, err := s.Count(ctx, app.CountCommand{Counts: []stock.Count{{SKU: "A", Location: l.ID, OnHand: 2}}}, staff)
		must(t, err)
	}
	pieces, err := s.hold("ord_1", stock.Line{SKU: "A", Quantity: 7})
	must(t, err)
	want := []stock.Piece{
		{SKU: "A", Location: "z", Quantity: 2},
		{SKU: "A", Location: "a", Quantity: 2},
		{SKU: "A", Location: "b", Quantity: 2},
		{SKU: "A", Location: "main", Quantity: 1},
	}
	if diff := cmp.Diff(want, pieces); diff != "" {
		t.Error(diff)
	}
	s.clean()
}

func TestBackordersKeepTheirLimitAcrossOrders(t *testing.T) {
	s := open(t)
	_, err := s.PutPolicy(context.Background(), "A", stock.Policy{Backorder: true, Limit: 3}, staff)
	must(t, err)
	s.have("A", 1)
	_, err = s.hold("ord_1", stock.Line{SKU: "A", Quantity: 3})
	must(t, err)
	_, err = s.hold("ord_2", stock.Line{SKU: "A", Quantity: 2})
	if refusal := problem.Of(err); refusal == nil || refusal.Violations[0].Message != "only 1 left" {
		t.Errorf("refused with %v", err)
	}
	s.clean()
}

func TestALongOrderIsHeldWhole(t *testing.T) {
	s := open(t)
	var lines []stock.Line
	for i := range 200 {
		sku := "SKU" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26))
		s.have(sku, 2)
		lines = append(lines, stock.Line{SKU: sku, Quantity: 1}, stock.Line{SKU: sku, Quantity: 1})
	}
	pieces, err := s.hold("ord_1", lines...)
	if err != nil || count(pieces) != 400 {
		t.Fatalf("%d pieces held: %v", count(pieces), err)
	}
	again, err := s.hold("ord_1", lines...)
	if err != nil || count(again) != 400 {
		t.Errorf("heard again: %d pieces, %v", count(again), err)
	}
	holds, next, err := s.Holds(context.Background(), "", 1, "")
	if err != nil || len(holds) != 1 || next != "" || count(holds[0].Pieces) != 400 {
		t.Errorf("listed %d holds, next %q, %v", len(holds), next, err)
	}
	s.release("ord_1")
	s.clean()
}

func count(pieces []stock.Piece) (n int) {
	for _, p := range pieces {
		n += p.Quantity
	}
	return n
}

func TestHoldsAreListedInPages(t *testing.T) {
	s := open(t)
	s.have("A", 9)
	for _, order := range []string{"o1", "o2", "o3", "o4"} {
		_, err := s.hold(order, stock.Line{SKU: "A", Quantity: 1})
		must(t, err)
	}
	s.release("o2")
	s.release("never")
	var orders []string
	token, pages := "", 0
	for token != "" || pages == 0 {
		page, next, err := s.Holds(context.Background(), "", 2, token)
		must(t, err)
		for _, h := range page {
			orders = append(orders, h.Order)
		}
		token, pages = next, pages+1
	}
	if diff := cmp.Diff([]string{"o1", "o3", "o4"}, orders); diff != "" || pages != 2 {
		t.Errorf("%d pages: %s", pages, diff)
	}
}
