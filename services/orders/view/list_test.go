package view_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

func TestFiltersAndCursors(t *testing.T) {
	d := open(t)
	d.confirmed(1)
	d.tell(2, saga.Running)
	d.tell(3, saga.Done, order.StockRefused{}, order.RejectedEvent{At: noon})
	d.confirmed(4)
	mark := func(n int) view.Mark { return view.Mark{At: placed(n).SoldAt.UnixMicro(), ID: placed(n).ID} }
	for _, c := range []struct {
		given  string
		filter view.Filter
		after  view.Mark
		limit  int
		want   string
	}{
		{"everything, newest first", view.Filter{}, first, 10, "004 003 002 001"},
		{"a page", view.Filter{}, first, 2, "004 003"},
		{"the page after it", view.Filter{}, mark(3), 2, "002 001"},
		{"after the last", view.Filter{}, mark(1), 2, ""},
		{"a mark that is no order's", view.Filter{}, view.Mark{At: mark(3).At, ID: "ord_"}, 2, "002 001"},
		{"pending ones", view.Filter{State: "pending"}, first, 10, "002"},
		{"confirmed ones", view.Filter{State: "confirmed"}, first, 10, "004 001"},
		{"confirmed ones after one", view.Filter{State: "confirmed"}, mark(4), 10, "001"},
		{"rejected ones", view.Filter{State: "rejected"}, first, 10, "003"},
		{"those that are paid for", view.Filter{PaymentState: "authorized"}, first, 10, "004 001"},
		{"those of which nothing has left", view.Filter{FulfilmentState: "none"}, first, 3, "004 003 002"},
		{"a cart's", view.Filter{CartID: "crt_1"}, first, 10, "003 001"},
		{"a subject's", view.Filter{SubjectID: "sub_1"}, first, 10, "004 001"},
		{"a subject's confirmed ones after one", view.Filter{SubjectID: "sub_1", State: "confirmed"}, mark(4), 10, "001"},
		{"a subject's rejected ones", view.Filter{SubjectID: "sub_1", State: "rejected"}, first, 10, ""},
		{"one order", view.Filter{OrderID: "ord_002"}, first, 10, "002"},
		{"nobody's", view.Filter{CartID: "crt_9"}, first, 10, ""},
		{"those without a reference are none with one", view.Filter{Reference: "536365"}, first, 10, ""},
		{"a quotation mark is only a letter", view.Filter{CartID: `' OR 1=1 --`}, first, 10, ""},
	} {
		if got := d.ids(c.filter, c.after, c.limit); got != c.want {
			t.Errorf("%s: %q, want %q", c.given, got, c.want)
		}
	}
}

// A list page by page, of any filter, has just the orders that a look at every row would choose.
func TestEveryMixtureOfFiltersChoosesTheRightOrders(t *testing.T) {
	zone, err := time.LoadLocation("America/Havana") // a day begins twice there, another at one o'clock
	if err != nil {
		t.Fatal(err)
	}
	d := openIn(t, zone)
	rnd := rand.New(rand.NewPCG(3, 3))
	for n := 1; n <= 150; n++ {
		d.place(anyPlaced(rnd, n), saga.Done, anyCourse(rnd)...)
	}
	all := d.page(view.Filter{}, first, 1000)
	if len(all) != 150 || !slices.IsSortedFunc(all, func(a, b view.Row) int {
		return cmp.Or(b.SoldAt.Compare(a.SoldAt), strings.Compare(b.OrderID, a.OrderID))
	}) {
		t.Fatalf("%d rows are in the list, or they are not in their order", len(all))
	}
	chosen := 0
	for range 500 {
		f := anyFilter(rnd, all)
		var want []string
		for _, r := range all {
			if chooses(f, r) {
				want = append(want, r.OrderID)
			}
		}
		if got := d.walk(f, 1+rnd.IntN(9)); !slices.Equal(got, want) {
			t.Fatalf("%+v chose %v, want %v", f, got, want)
		}
		chosen += len(want)
	}
	if chosen < 500 {
		t.Errorf("the filters chose %d orders in all: too few to trust", chosen)
	}
}

// walk reads a list page by page.
func (d *desk) walk(f view.Filter, size int) (ids []string) {
	d.Helper()
	for after := first; ; {
		page := d.page(f, after, size)
		for _, r := range page {
			ids = append(ids, r.OrderID)
		}
		if len(page) < size {
			return ids
		}
		after = page[size-1].Mark()
	}
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

func anyPlaced(rnd *rand.Rand, n int) order.Placed {
	p := placed(n)
	p.Country, p.SubjectID, p.CartID = pick(rnd, "GB", "GB", "FR", "DE"), fmt.Sprintf("sub_%d", rnd.IntN(9)), pick(rnd, "", "", "crt_1", "crt_2")
	p.Reference = pick(rnd, "", fmt.Sprint(536365+n%20))
	p.SoldAt = pick(rnd, // around the days on which the clock is set, and some at one moment
		time.Date(2026, 3, 7, 3, 0, 0, 0, time.UTC), time.Date(2026, 10, 31, 3, 0, 0, 0, time.UTC),
	).Add(time.Duration(rnd.IntN(5*24*12)) * 5 * time.Minute)
	return p
}

// anyCourse is one of the ways that an order can take.
func anyCourse(rnd *rand.Rand) []order.Event {
	whole := []order.Piece{{Line: 1, Quantity: 1_000_000}}
	captured := []order.Event{order.CaptureRequested{ID: "cap_1", Amount: 1}, order.Captured{ID: "cap_1", Amount: 1}}
	confirmed := confirmation()
	return slices.Concat(pick(rnd,
		nil,
		[]order.Event{order.RejectedEvent{At: noon, Rejection: order.Rejection{Code: "sold_out"}}},
		confirmed,
		append(confirmed, order.CancelRequested{At: noon}),
		append(confirmed, order.Dispatched{ParcelID: "p", Pieces: whole}),
		append(append(confirmed, order.Dispatched{ParcelID: "p", Pieces: whole}), captured...),
		append(confirmed, order.Dispatched{ParcelID: "p", Pieces: whole}, order.CaptureRequested{ID: "cap_1", Amount: 1}, order.CaptureFailed{ID: "cap_1"}),
	))
}

func anyFilter(rnd *rand.Rand, all []view.Row) (f view.Filter) {
	of := all[rnd.IntN(len(all))] // mostly one that chooses something
	for range rnd.IntN(4) {
		switch rnd.IntN(9) {
		case 0:
			f.State = of.State
		case 1:
			f.PaymentState = of.PaymentState
		case 2:
			f.FulfilmentState = of.FulfilmentState
		case 3:
			f.Country = pick(rnd, of.Country, "DE")
		case 4:
			f.SubjectID = of.SubjectID
		case 5:
			f.Since = view.Day(of.Day)
		case 6:
			f.Until = view.Day(of.Day)
		case 7:
			f.CartID = of.CartID
		case 8:
			f.Reference = of.Reference
		}
	}
	return f
}

// chooses is what a filter means.
func chooses(f view.Filter, r view.Row) bool {
	for _, c := range [][2]string{
		{f.State, r.State},
		{f.PaymentState, r.PaymentState},
		{f.FulfilmentState, r.FulfilmentState},
		{f.Country, r.Country},
		{f.SubjectID, r.SubjectID},
		{f.CartID, r.CartID},
		{f.Reference, r.Reference},
	} {
		if c[0] != "" && c[0] != c[1] {
			return false
		}
	}
	return (f.Since == "" || r.Day >= string(f.Since)) && (f.Until == "" || r.Day <= string(f.Until))
}

func TestADayIsRead(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"", true},
		{"2011-07-31", true},
		{"2012-02-29", true},
		{"2011-02-29", false},
		{"2011-7-31", false},
		{"31.07.2011", false},
		{"2011-07-31T00:00:00Z", false},
		{"0000-01-01", false},
		{"today", false},
	} {
		day, err := view.ParseDay("since", c.text)
		if (err == nil) != c.ok || c.ok && string(day) != c.text {
			t.Errorf("%q: %q, %v", c.text, day, err)
		}
	}
}

func TestALineListHasTheLinesOfItsOrders(t *testing.T) {
	d := open(t)
	for n := 1; n <= 5; n++ {
		p := placed(n)
		for k := range 1500 {
			p.Lines = append(p.Lines, order.Line{SKU: fmt.Sprint(k), Title: "a title", Quantity: 1})
		}
		d.place(p, saga.Done, append(confirmation(), order.Dispatched{ParcelID: "p", Pieces: []order.Piece{{Line: 2, Quantity: 1}}})...)
	}
	seen, pages := 0, 0
	for after := first; ; pages++ {
		page, more, err := d.list.Lines(context.Background(), view.Filter{State: "confirmed"}, after, 4)
		d.must(err)
		for _, l := range page {
			if want := fmt.Sprintf("ord_%03d", 5-seen); l.OrderID != want || l.Order.ID != want {
				t.Fatalf("order %s with the lines of %s, want %s", l.OrderID, l.Order.ID, want)
			}
			if len(l.Order.Lines) != 1501 || l.Order.Lines[1].Title != "a title" || l.Order.Parts[1].Dispatched != 1 {
				t.Fatalf("the lines are %+v", l.Order.Lines[:2])
			}
			seen++
		}
		if len(page) > 2 {
			t.Errorf("a page has %d orders of 1,501 lines each", len(page))
		}
		if !more {
			break
		}
		after = page[len(page)-1].Mark()
	}
	if seen != 5 || pages != 2 {
		t.Errorf("%d orders were seen on %d pages", seen, pages+1)
	}
}
