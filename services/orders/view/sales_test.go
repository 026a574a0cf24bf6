package view_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

func day(d int) time.Time { return time.Date(2011, 7, d, 10, 0, 0, 0, time.UTC) }

// sale is an order of 5 of A at 1.01 less 0.02 (5.03), 2 of B at 3.00 and, on a line of its own, 1 more of A at 2.00.
func sale(n, soldOn int) order.Placed {
	p := placed(n)
	p.SoldAt = day(soldOn)
	p.Lines = []order.Line{
		{SKU: "A", Quantity: 5, UnitPrice: 101, Discount: 2, Total: 503},
		{SKU: "B", Quantity: 2, UnitPrice: 300, Total: 600},
		{SKU: "A", Quantity: 1, UnitPrice: 200, Total: 200},
	}
	p.Totals = order.Totals{Items: 1305, Discount: 2, Shipping: 450, Total: 1753, TaxInclusive: true}
	p.Shipping.Price = 450
	return p
}

// told is rows as "day sku orders/sold/revenue/returned/refunds".
func told(rows []view.Sale, err error) string {
	var all []string
	for _, r := range rows {
		all = append(all, strings.TrimSpace(strings.TrimPrefix(r.Day, "2011-07-")+" "+r.SKU)+fmt.Sprintf(" %d/%d/%d/%d/%d", r.Orders, r.Sold, r.Revenue, r.Returned, r.Refunds))
	}
	if err != nil {
		return err.Error()
	}
	return strings.Join(all, ", ")
}

func canceled(on int, whole bool, items ...order.Item) []order.Event {
	return []order.Event{order.CancelRequested{At: day(on)}, order.CanceledEvent{Items: items, Whole: whole, At: day(on)}}
}

func back(on int, refund int64, lines ...order.ReturnedLine) []order.Event {
	return []order.Event{order.ReturnOpened{ID: "ret_1", Lines: lines, At: day(1)}, order.ReturnReceived{ID: "ret_1", Lines: lines, Refund: refund, At: day(on)}}
}

var (
	two = order.ReturnedLine{Line: 1, SKU: "A", Quantity: 2, Refund: 202}
	one = order.ReturnedLine{Line: 2, SKU: "B", Quantity: 1, Refund: 300, WriteOff: true}
)

// saleScripts are what happens to the order of sale(1, 1), and the sales that come of it.
var saleScripts = []struct {
	given           string
	events          []order.Event
	rows, days, all string
}{
	{"nothing before the order is confirmed", []order.Event{order.StockHeld{}}, "", "", ""},
	{"nothing of a rejected one", []order.Event{order.RejectedEvent{At: day(2)}}, "", "", ""},
	{
		"its lines on the day of its sale, shipping apart", confirmation(),
		"01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "01 1/8/1303/0/0", "A 1/6/703/0/0, B 1/2/600/0/0",
	},
	{
		"the same while a cancellation is undecided and when it was refused",
		append(confirmation(), order.CancelRequested{At: day(2)}, order.CancelRefused{Code: order.CancelTooLate, At: day(2)}),
		"01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "01 1/8/1303/0/0", "A 1/6/703/0/0, B 1/2/600/0/0",
	},
	{
		"a canceled order is taken back on the day of its cancellation",
		append(confirmation(), canceled(3, true, order.Item{Line: 1, Quantity: 5}, order.Item{Line: 2, Quantity: 2}, order.Item{Line: 3, Quantity: 1})...),
		"03 A -1/-6/-703/0/0, 03 B -1/-2/-600/0/0, 01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "03 -1/-8/-1303/0/0, 01 1/8/1303/0/0", "",
	},
	{
		"canceled pieces with their share; the order goes on counting while one piece of it stands",
		append(confirmation(), canceled(3, false, order.Item{Line: 1, Quantity: 3}, order.Item{Line: 2, Quantity: 2})...),
		"03 A 0/-3/-301/0/0, 03 B -1/-2/-600/0/0, 01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "03 0/-5/-901/0/0, 01 1/8/1303/0/0", "A 1/3/402/0/0",
	},
	{
		"what came back on its own day, written off or not",
		append(confirmation(), back(9, 502, two, one)...),
		"09 A 0/0/0/2/202, 09 B 0/0/0/1/300, 01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "09 0/0/0/3/502, 01 1/8/1303/0/0", "A 1/6/703/2/202, B 1/2/600/1/300",
	},
	{
		"less given back than the share, in proportion to it",
		append(confirmation(), back(9, 251, two, one)...),
		"09 A 0/0/0/2/101, 09 B 0/0/0/1/150, 01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "09 0/0/0/3/251, 01 1/8/1303/0/0", "A 1/6/703/2/101, B 1/2/600/1/150",
	},
	{
		"nothing of a return that was only announced, or given up",
		append(confirmation(), order.ReturnOpened{ID: "ret_1", Lines: []order.ReturnedLine{two}, At: day(2)}, order.ReturnClosed{ID: "ret_1", At: day(3)},
			order.ReturnOpened{ID: "ret_2", Lines: []order.ReturnedLine{two}, At: day(2)}),
		"01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "01 1/8/1303/0/0", "A 1/6/703/0/0, B 1/2/600/0/0",
	},
	{
		"nothing of a refund without a return",
		append(confirmation(), order.RefundRequested{ID: "rfd_1", Amount: 100, At: day(2)}, order.Refunded{ID: "rfd_1", Amount: 100}),
		"01 A 1/6/703/0/0, 01 B 1/2/600/0/0", "01 1/8/1303/0/0", "A 1/6/703/0/0, B 1/2/600/0/0",
	},
}

func TestWhatCountsAsASaleAndWhen(t *testing.T) {
	ctx := context.Background()
	for _, c := range saleScripts {
		d := open(t)
		d.place(sale(1, 1), saga.Done, c.events...)
		if got := told(d.list.Sales(ctx, view.Days{}, "", view.Sale{}, 10)); got != c.rows {
			t.Errorf("%s: rows are %s, want %s", c.given, got, c.rows)
		}
		if got := told(d.list.DailySales(ctx, view.Days{}, view.Sale{}, 10)); got != c.days {
			t.Errorf("%s: days are %s, want %s", c.given, got, c.days)
		}
		if got := told(d.list.ProductSales(ctx, "", view.Sale{}, 10)); got != c.all {
			t.Errorf("%s: products are %s, want %s", c.given, got, c.all)
		}
		d.stop()
	}
}

func TestASaleCountsOnTheDayOfTheShopsZone(t *testing.T) {
	d := openIn(t, time.FixedZone("Kiritimati", 14*60*60))
	d.place(sale(1, 1), saga.Done, confirmation()...)
	if got := told(d.list.DailySales(context.Background(), view.Days{}, view.Sale{}, 10)); got != "02 1/8/1303/0/0" {
		t.Error(got)
	}
}

// Lists of sales, page by page and of any days and SKU, have just the rows that a look at all would choose, and these are
// what events add up to, counted here once more by hand.
func TestSalesAddUpAndAreListedRight(t *testing.T) {
	d := open(t)
	rnd := rand.New(rand.NewPCG(5, 5))
	want := map[view.Sale]view.Sale{} // by key
	for n := 1; n <= 60; n++ {
		p := sale(n, 1+rnd.IntN(20))
		p.Lines[0].SKU = fmt.Sprint("S", rnd.IntN(9))
		p.Currency = pick(rnd, "GBP", "GBP", "EUR")
		d.place(p, saga.Done, confirmation()...)
		counted := map[string]bool{}
		for _, l := range p.Lines {
			for _, k := range []view.Sale{{Day: p.SoldAt.Format("2006-01-02"), SKU: l.SKU}, {Day: p.SoldAt.Format("2006-01-02")}, {SKU: l.SKU}} {
				k.Currency = p.Currency
				row := want[k]
				row.Day, row.SKU, row.Currency = k.Day, k.SKU, k.Currency
				row.Sold, row.Revenue = row.Sold+int64(l.Quantity), row.Revenue+l.Total
				if !counted[k.Day+k.SKU] {
					counted[k.Day+k.SKU], row.Orders = true, row.Orders+1
				}
				want[k] = row
			}
		}
	}
	ctx := context.Background()
	for range 60 {
		var days view.Days
		if rnd.IntN(2) == 0 {
			days.Since = view.Day(day(1 + rnd.IntN(20)).Format("2006-01-02"))
		}
		if rnd.IntN(2) == 0 {
			days.Until = view.Day(day(1 + rnd.IntN(20)).Format("2006-01-02"))
		}
		sku, size := pick(rnd, "", "", "A", "S3", "none"), 1+rnd.IntN(30)
		for name, c := range map[string]struct {
			read    func(after view.Sale) ([]view.Sale, error)
			chooses func(view.Sale) bool
		}{
			"sales": {
				func(after view.Sale) ([]view.Sale, error) { return d.list.Sales(ctx, days, sku, after, size) },
				func(r view.Sale) bool {
					return r.Day != "" && r.SKU != "" && (sku == "" || sku == r.SKU) && within(days, r.Day)
				},
			},
			"daily sales": {
				func(after view.Sale) ([]view.Sale, error) { return d.list.DailySales(ctx, days, after, size) },
				func(r view.Sale) bool { return r.SKU == "" && within(days, r.Day) },
			},
			"product sales": {
				func(after view.Sale) ([]view.Sale, error) { return d.list.ProductSales(ctx, sku, after, size) },
				func(r view.Sale) bool { return r.Day == "" && (sku == "" || sku == r.SKU) },
			},
		} {
			var chosen []view.Sale
			for _, r := range want {
				if c.chooses(r) {
					chosen = append(chosen, r)
				}
			}
			slices.SortFunc(chosen, func(a, b view.Sale) int {
				if a.Day != b.Day {
					return strings.Compare(b.Day, a.Day)
				}
				return strings.Compare(a.SKU+" "+a.Currency, b.SKU+" "+b.Currency)
			})
			if diff := cmp.Diff(chosen, d.walkSales(size, c.read)); diff != "" {
				t.Fatalf("%s of %+v %q: %s", name, days, sku, diff)
			}
		}
	}
}

func within(d view.Days, day string) bool {
	return (d.Since == "" || day >= string(d.Since)) && (d.Until == "" || day <= string(d.Until))
}

func (d *desk) walkSales(size int, read func(after view.Sale) ([]view.Sale, error)) (all []view.Sale) {
	d.Helper()
	for after := (view.Sale{}); ; {
		page, err := read(after)
		d.must(err)
		if all = append(all, page...); len(page) < size {
			return all
		}
		after = page[size-1]
	}
}
