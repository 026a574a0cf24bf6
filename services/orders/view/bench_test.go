package view_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

// A shop as large as the one whose trade is replayed: eight months, 3,000 SKUs, 15,000 orders of 19 lines.
const (
	benchOrders = 15_000
	benchLines  = 19
	benchSKUs   = 3000
	benchDays   = 240
)

// trade makes up orders in the order of their sales.
type trade struct{ *rand.Rand }

// order is an order and all that happens to it.
func (r trade) order(n, lines int) []order.Event {
	p := placed(n)
	p.ID = fmt.Sprintf("ord_01JD2Q%020d", n)
	p.CartID, p.SubjectID, p.Reference = "", fmt.Sprint(12000+r.IntN(4000)), fmt.Sprint(536365+n)
	p.Country = pick(r.Rand, "GB", "GB", "GB", "GB", "GB", "GB", "GB", "GB", "GB", "FR", "DE", "IE", "NL")
	p.SoldAt = time.Date(2010, 12, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(n) * (benchDays * 24 * time.Hour / benchOrders))
	p.Lines, p.Totals = nil, order.Totals{TaxInclusive: true}
	var pieces []order.Piece
	for i := range lines {
		sku := fmt.Sprintf("%05dA", int(benchSKUs*r.Float64()*r.Float64()))
		list := int64(250)
		l := order.Line{SKU: sku, ProductID: "prd_01JD2QABCDEFGHJKMNPQRSTVWX", Title: "WHITE HANGING HEART T-LIGHT HOLDER", Quantity: 1 + r.Int32N(12), UnitPrice: 50 + r.Int64N(500), ListPrice: &list, TaxRate: "0.2"}
		l.Total = l.UnitPrice * int64(l.Quantity)
		l.Tax = l.Total / 6
		p.Lines = append(p.Lines, l)
		p.Totals.Items, p.Totals.Tax = p.Totals.Items+l.Total, p.Totals.Tax+l.Tax
		pieces = append(pieces, order.Piece{Line: int32(i) + 1, Quantity: l.Quantity})
	}
	p.Totals.Total = p.Totals.Items
	return append([]order.Event{p}, r.course(p, pieces)...)
}

func (r trade) course(p order.Placed, pieces []order.Piece) []order.Event {
	total := p.Totals.Total
	if r.IntN(7) == 0 {
		return []order.Event{order.StockRefused{}, order.RejectedEvent{At: p.SoldAt, Rejection: order.Rejection{Code: "sold_out"}}}
	}
	e := []order.Event{
		order.StockHeld{Attempt: 1},
		order.Authorized{IntentID: "pay_01JD2QABCDEFGHJKMNPQRSTVWX", Attempt: 1},
		order.ConfirmedEvent{At: p.SoldAt, SubjectID: p.SubjectID, Channel: "web", Currency: "GBP", Total: total, Items: order.Items(p.Lines), SoldAt: p.SoldAt},
		order.Dispatched{ParcelID: "par_01JD2QABCDEFGHJKMNPQRSTVWX", Pieces: pieces, At: p.SoldAt},
		order.CaptureRequested{ID: "cap_1", Amount: total, Final: true},
	}
	if r.IntN(300) == 0 {
		return append(e, order.CaptureFailed{ID: "cap_1", Code: "card_expired"})
	}
	e = append(e, order.Captured{ID: "cap_1", Amount: total})
	if r.IntN(6) == 0 {
		l := p.Lines[0]
		back := []order.ReturnedLine{{Line: 1, SKU: l.SKU, Quantity: 1, Refund: l.UnitPrice}}
		at := p.SoldAt.AddDate(0, 0, 9)
		id := "ret_" + p.ID[4:]
		e = append(e, order.ReturnOpened{ID: id, Lines: back, Reference: "C" + p.Reference, At: at}, order.ReturnReceived{ID: id, Lines: back, Refund: l.UnitPrice, At: at},
			order.RefundRequested{ID: "rfd_1", Amount: l.UnitPrice, ReturnID: id, At: at}, order.Refunded{ID: "rfd_1", Amount: l.UnitPrice})
	}
	return e
}

// write appends the streams of some orders, as they would come from a busy shop: each of a few steps apart.
func (d *desk) write(orders [][]order.Event) {
	d.Helper()
	events := make([][]eventlog.Event, len(orders))
	for i, o := range orders {
		for _, e := range o {
			events[i] = append(events[i], record(d, e))
		}
	}
	d.update(func(tx sqlstore.Tx) error {
		for from, some := 0, 4; ; from += some {
			wrote := false
			for i := range events {
				if part := events[i][min(from, len(events[i])):min(from+some, len(events[i]))]; len(part) > 0 {
					wrote = true
					if _, err := d.log.Append(tx, orders[i][0].(order.Placed).ID, eventlog.Any, part...); err != nil {
						return err
					}
				}
			}
			if !wrote {
				return nil
			}
		}
	})
}

// fill writes a whole shop.
func (d *desk) fill() {
	d.Helper()
	r := trade{rand.New(rand.NewPCG(1, 1))}
	for n := 0; n < benchOrders; n += 100 {
		var some [][]order.Event
		for k := range 100 {
			some = append(some, r.order(n+k, benchLines))
		}
		d.write(some)
	}
	d.page(view.Filter{}, first, 1)
}

// cpu is what this process has spent.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkProjection is what an order of 20 lines costs in its whole life, from the log to all rows.
func BenchmarkProjection(b *testing.B) {
	for _, c := range []struct {
		atOnce     int
		remembered bool
	}{{4, false}, {32, false}, {256, false}, {4, true}, {32, true}, {256, true}} {
		b.Run(fmt.Sprintf("%d at once, remembered %v", c.atOnce, c.remembered), func(b *testing.B) {
			d, now, atOnce := &desk{TB: b, path: filepath.Join(b.TempDir(), "orders.db")}, map[string]order.Order{}, c.atOnce
			if c.remembered {
				d.recent = func(orderID string) (order.Order, bool) { o, ok := now[orderID]; return o, ok }
			}
			d.project(0)
			r := trade{rand.New(rand.NewPCG(1, 1))}
			var orders int
			var spent time.Duration
			for b.Loop() {
				var some [][]order.Event
				clear(now)
				for range atOnce {
					o := r.order(orders%benchOrders, 20)
					o[0] = renamed(o[0], orders)
					some, orders = append(some, o), orders+1
					folded, err := order.Fold(o...)
					d.must(err)
					now[folded.ID] = folded
				}
				d.write(some)
				wrote := cpu(b)
				d.page(view.Filter{}, first, 1)
				spent += cpu(b) - wrote
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(orders), "µs-cpu/order")
		})
	}
}

func renamed(e order.Event, n int) order.Event {
	p := e.(order.Placed)
	p.ID = fmt.Sprintf("ord_01JD2R%020d", n)
	return p
}

// BenchmarkLists is how long a page of each list takes in a shop of 15,000 orders.
func BenchmarkLists(b *testing.B) {
	d := open(b)
	d.fill()
	for _, c := range append(d.ordersRead(), d.othersRead()...) {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			rows, before := 0, cpu(b)
			for b.Loop() {
				began := time.Now()
				n, err := c.read()
				if err != nil {
					b.Fatal(err)
				}
				took, rows = append(took, time.Since(began)), n
			}
			slices.Sort(took)
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/1000/float64(len(took)), "ms-cpu")
			b.ReportMetric(float64(rows), "rows")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}

// reading is a page that is read, and how many rows it has.
type reading struct {
	name string
	read func() (int, error)
}

const aDay = "2011-03-15"

// ordersRead are pages of orders and of their lines.
func (d *desk) ordersRead() []reading {
	ctx := context.Background()
	middle := d.page(view.Filter{Days: view.Days{Until: aDay}}, first, 1)[0].Mark()
	orders := func(f view.Filter, after view.Mark) func() (int, error) {
		return func() (int, error) {
			rows, err := d.list.List(ctx, f, after, 101)
			return len(rows), err
		}
	}
	lines := func(size int) func() (int, error) {
		return func() (n int, err error) {
			page, _, err := d.list.Lines(ctx, view.Filter{}, middle, size)
			for i := range page {
				n += len(page[i].Order.Lines)
			}
			return n, err
		}
	}
	return []reading{
		{"orders", orders(view.Filter{}, first)},
		{"orders, a page in the middle", orders(view.Filter{}, middle)},
		{"orders of a day", orders(view.Filter{Days: view.Days{Since: aDay, Until: aDay}}, first)},
		{"orders of a subject", orders(view.Filter{SubjectID: "12345"}, first)},
		{"orders of a subject, captured", orders(view.Filter{SubjectID: "12345", PaymentState: "captured"}, first)},
		{"orders of a number", orders(view.Filter{Reference: "540000"}, first)},
		{"orders confirmed", orders(view.Filter{State: "confirmed"}, first)},
		{"orders confirmed, a page in the middle", orders(view.Filter{State: "confirmed"}, middle)},
		{"orders rejected to France", orders(view.Filter{State: "rejected", Country: "FR"}, first)},
		{"orders whose payment is due", orders(view.Filter{PaymentState: "payment_due"}, first)},
		{"orders partly refunded to Germany until a day", orders(view.Filter{PaymentState: "partly_refunded", Country: "DE", Days: view.Days{Until: aDay}}, first)},
		{"orders, none", orders(view.Filter{State: "confirmed", FulfilmentState: "none", Country: "GB"}, first)},
		{"lines of 20 orders", lines(20)},
		{"lines of 100 orders", lines(100)},
	}
}

// othersRead are pages of returns and of sales.
func (d *desk) othersRead() []reading {
	ctx := context.Background()
	returns := func(f view.ReturnFilter) func() (int, error) {
		return func() (int, error) {
			rows, err := d.list.Returns(ctx, f, first, 101)
			return len(rows), err
		}
	}
	counted := func(read func() ([]view.Sale, error)) func() (int, error) {
		return func() (int, error) {
			rows, err := read()
			return len(rows), err
		}
	}
	sales := func(days view.Days, sku string, after view.Sale) func() (int, error) {
		return counted(func() ([]view.Sale, error) { return d.list.Sales(ctx, days, sku, after, 501) })
	}
	return []reading{
		{"returns", returns(view.ReturnFilter{})},
		{"returns received", returns(view.ReturnFilter{State: "received"})},
		{"sales", sales(view.Days{}, "", view.Sale{})},
		{"sales, a page in the middle", sales(view.Days{}, "", view.Sale{Day: aDay, SKU: "01000A", Currency: "GBP"})},
		{"sales of a SKU", sales(view.Days{}, "00007A", view.Sale{})},
		{"sales of a day", sales(view.Days{Since: aDay, Until: aDay}, "", view.Sale{})},
		{"sales by day", counted(func() ([]view.Sale, error) { return d.list.DailySales(ctx, view.Days{}, view.Sale{}, 501) })},
		{"sales by product", counted(func() ([]view.Sale, error) { return d.list.ProductSales(ctx, "", view.Sale{SKU: "01000A"}, 501) })},
	}
}

// BenchmarkExport is the lines of all orders, page by page; BenchmarkFindings the audit of all.
func BenchmarkExport(b *testing.B) {
	d := open(b)
	d.fill()
	for b.Loop() {
		lines := 0
		for after, more := first, true; more; {
			var page []view.Lined
			var err error
			page, more, err = d.list.Lines(context.Background(), view.Filter{}, after, 100)
			d.must(err)
			for i := range page {
				lines += len(page[i].Order.Lines)
			}
			after = page[len(page)-1].Mark()
		}
		b.ReportMetric(float64(lines), "lines")
	}
}

// BenchmarkFindings see BenchmarkExport.
func BenchmarkFindings(b *testing.B) {
	d := open(b)
	d.fill()
	for b.Loop() {
		found, checked := d.findings()
		b.ReportMetric(float64(checked), "orders")
		_ = found // the orders here have no runs, and some findings say so
	}
}
