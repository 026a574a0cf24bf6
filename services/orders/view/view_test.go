package view_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

// desk is the views over a real store, with the orders that a test tells of.
type desk struct {
	testing.TB
	path   string
	zone   *time.Location
	store  *sqlstore.Store
	log    *eventlog.Log
	app    *app.App
	list   *view.Orders
	stop   func()
	recent func(orderID string) (order.Order, bool)
	wrap   func(sqlstore.Driver) sqlstore.Driver // put around the store; nil: nothing
}

func open(t testing.TB) *desk { return openIn(t, nil) }

func openIn(t testing.TB, zone *time.Location) *desk {
	d := &desk{TB: t, path: filepath.Join(t.TempDir(), "orders.db"), zone: zone}
	d.project(0)
	return d
}

// project opens the store and lets the projection run until the test ends; its rows are newer by so many versions.
func (d *desk) project(newer int) {
	d.Helper()
	store, err := sqlstoretest.Open(context.Background(), d.path, sqlstore.Options{
		Name: "orders", Schemas: append(app.Schemas(), projection.Schema()), Log: slog.New(slog.DiscardHandler), Wrap: d.wrap,
	})
	d.must(err)
	log, err := eventlog.New(store)
	d.must(err)
	source := view.Source{Store: store, Log: log, Shop: "shop", Zone: d.zone, Recent: d.recent}
	p := source.Projection()
	p.Version += newer
	rows, err := projection.New(context.Background(), store, log, p, projection.Options{Log: slog.New(slog.NewTextHandler(d.Output(), nil))})
	d.must(err)
	done := make(chan struct{})
	go func() { defer close(done); _ = rows.Run(context.Background()) }()
	d.store, d.log, d.list = store, log, view.New(source, rows)
	d.app = app.New(app.Deps{Store: store, Log: log, Clock: clock.NewFake(noon), IDs: id.NewFixed(), Shop: "shop"}, nil, app.Options{})
	stopped := false
	d.stop = func() {
		if !stopped {
			stopped = true
			rows.Close()
			<-done
			d.must(store.Close())
		}
	}
	d.Cleanup(d.stop)
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) update(fn func(tx sqlstore.Tx) error) {
	d.Helper()
	d.must(d.store.Update(context.Background(), fn))
}

func (d *desk) exec(query string, args ...any) {
	d.Helper()
	d.update(func(tx sqlstore.Tx) error {
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			err = fmt.Errorf("nothing was changed by %s", query)
		}
		return err
	})
}

func placed(n int) order.Placed {
	return order.Placed{
		ID: fmt.Sprintf("ord_%03d", n), CartID: fmt.Sprintf("crt_%d", n%2), SubjectID: fmt.Sprintf("sub_%d", n%3), Currency: "GBP", Country: "GB",
		Lines:  []order.Line{{SKU: "85123A", Quantity: int32(n), UnitPrice: 100, Total: int64(100 * n)}},
		Totals: order.Totals{Items: int64(100 * n), Total: int64(100 * n), TaxInclusive: true}, Deadline: noon.Add(time.Hour),
		PlacedAt: noon.Add(time.Duration(n) * time.Minute), SoldAt: noon.Add(time.Duration(n) * time.Minute),
	}
}

// append adds events to an order.
func (d *desk) append(orderID string, events ...order.Event) {
	d.Helper()
	d.update(func(tx sqlstore.Tx) error { return d.appendIn(tx, orderID, events) })
}

func (d *desk) appendIn(tx sqlstore.Tx, orderID string, events []order.Event) error {
	all := make([]eventlog.Event, len(events))
	for i, e := range events {
		all[i] = record(d, e)
	}
	_, err := d.log.Append(tx, orderID, eventlog.Any, all...)
	return err
}

// tell has an order that these events have happened to, with its run in a state.
func (d *desk) tell(n int, state saga.State, events ...order.Event) {
	d.Helper()
	d.place(placed(n), state, events...)
}

func (d *desk) place(p order.Placed, state saga.State, events ...order.Event) {
	d.Helper()
	d.update(func(tx sqlstore.Tx) error {
		if err := d.appendIn(tx, p.ID, append([]order.Event{p}, events...)); err != nil {
			return err
		}
		run := checkout.Definition().New(p.ID, "orders", noon)
		if run.State = state; state == saga.Done {
			run = run.End(noon)
		}
		return saga.Begin(tx, run)
	})
}

// confirmation is what happens to an order that is confirmed.
func confirmation() []order.Event {
	return []order.Event{order.StockHeld{Attempt: 1}, order.Authorized{IntentID: "pay_1", Attempt: 1}, order.ConfirmedEvent{At: noon.Add(time.Hour)}}
}

func (d *desk) confirmed(n int, then ...order.Event) {
	d.Helper()
	d.tell(n, saga.Done, append(confirmation(), then...)...)
}

func (d *desk) page(f view.Filter, after view.Mark, limit int) []view.Row {
	d.Helper()
	page, err := d.list.List(context.Background(), f, after, limit)
	d.must(err)
	return page
}

func (d *desk) ids(f view.Filter, after view.Mark, limit int) string {
	d.Helper()
	var ids []string
	for _, r := range d.page(f, after, limit) {
		ids = append(ids, strings.TrimPrefix(r.OrderID, "ord_"))
	}
	return strings.Join(ids, " ")
}

// first is the mark before the first row.
var first view.Mark

func TestAListHasWhatWasDurableWhenItWasAskedFor(t *testing.T) {
	d := open(t)
	for n := 1; n <= 50; n++ {
		d.confirmed(n)
		if got := d.ids(view.Filter{}, first, 1); got != fmt.Sprintf("%03d", n) {
			t.Fatalf("after order %d the list begins with %q", n, got)
		}
	}
}

func TestARowTellsItsOrder(t *testing.T) {
	d := open(t)
	p := placed(3)
	p.Reference, p.Country, p.SoldAt = "536365", "FR", time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC)
	d.place(p, saga.Done, append(confirmation(),
		order.Dispatched{ParcelID: "par_1", Pieces: []order.Piece{{Line: 1, Quantity: 3}}, At: noon},
		order.CaptureRequested{ID: "cap_1", Amount: 300, Final: true}, order.Captured{ID: "cap_1", Amount: 300},
		order.RefundRequested{ID: "rfd_1", Amount: 100, Reason: "kindness"}, order.Refunded{ID: "rfd_1", Amount: 100})...)
	d.tell(4, saga.Done, order.StockRefused{}, order.RejectedEvent{At: noon, Rejection: order.Rejection{Code: "sold_out"}})
	want := []view.Row{{
		OrderID: "ord_004", CartID: "crt_0", SubjectID: "sub_1", Country: "GB", Currency: "GBP", Total: 400, Quantity: 4, Day: "2026-11-23",
		SoldAt: noon.Add(4 * time.Minute).Truncate(time.Microsecond), PlacedAt: noon.Add(4 * time.Minute).Truncate(time.Microsecond),
		DecidedAt: noon.Truncate(time.Microsecond), State: "rejected", PaymentState: "none", FulfilmentState: "none", Rejection: "sold_out",
	}, {
		OrderID: "ord_003", Reference: "536365", CartID: "crt_1", SubjectID: "sub_0", Country: "FR", Currency: "GBP", Total: 300, Quantity: 3,
		Day: "2010-12-01", SoldAt: p.SoldAt, PlacedAt: noon.Add(3 * time.Minute).Truncate(time.Microsecond),
		DecidedAt: noon.Add(time.Hour).Truncate(time.Microsecond), State: "confirmed", PaymentState: "partly_refunded", FulfilmentState: "dispatched",
		Captured: 300, Refunded: 100,
	}}
	got := d.page(view.Filter{}, first, 10)
	for i := range got {
		got[i].Weight = 0 // the findings speak of it
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestANewVersionOrAnotherZoneMakesTheRowsAnew(t *testing.T) {
	d := open(t)
	d.confirmed(1)
	d.tell(2, saga.Running)
	if got := d.ids(view.Filter{}, first, 10); got != "002 001" {
		t.Fatal(got)
	}
	d.exec(`UPDATE order_view SET state = 'lost' WHERE order_id = 'ord_001'`)
	d.stop()
	d.project(1)
	if got := d.ids(view.Filter{State: "confirmed"}, first, 10); got != "001" {
		t.Errorf("after the rebuild %q is confirmed", got)
	}
	d.stop()
	d.zone = time.FixedZone("Kiritimati", 14*60*60)
	d.project(0)
	if got := d.page(view.Filter{}, first, 1)[0].Day; got != "2026-11-24" {
		t.Errorf("in a zone far east it was sold on %s", got)
	}
	if found, _ := d.findings(); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
}
