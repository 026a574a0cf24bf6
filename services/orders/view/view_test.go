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
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

// desk is a list of orders over a real store, with the orders that a test tells of.
type desk struct {
	*testing.T
	path  string
	store *sqlstore.Store
	log   *eventlog.Log
	app   *app.App
	list  *view.Orders
}

func open(t *testing.T) *desk {
	d := &desk{T: t, path: filepath.Join(t.TempDir(), "orders.db")}
	d.project(view.Projection("shop"))
	return d
}

// project opens the store and lets the projection run until the test ends.
func (d *desk) project(p projection.Projection) (stop func()) {
	d.Helper()
	store, err := sqlstore.Open(context.Background(), d.path, sqlstore.Options{
		Name: "orders", Schemas: append(app.Schemas(), projection.Schema()), Log: slog.New(slog.DiscardHandler),
	})
	d.must(err)
	log, err := eventlog.New(store)
	d.must(err)
	rows, err := projection.New(context.Background(), store, log, p, projection.Options{Log: slog.New(slog.DiscardHandler)})
	d.must(err)
	done := make(chan struct{})
	go func() { defer close(done); _ = rows.Run(context.Background()) }()
	d.store, d.log, d.list = store, log, view.New(store, log, rows)
	d.app = app.New(app.Deps{Store: store, Log: log, Clock: clock.NewFake(noon), IDs: id.NewFixed(), Shop: "shop"}, nil, app.Options{})
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			rows.Close()
			<-done
			d.must(store.Close())
		}
	}
	d.Cleanup(stop)
	return stop
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
		ID: fmt.Sprintf("ord_%03d", n), CartID: fmt.Sprintf("crt_%d", n%2), SubjectID: fmt.Sprintf("sub_%d", n%3), Currency: "GBP",
		Lines:  []order.Line{{SKU: "85123A", Quantity: int32(n), UnitPrice: 100, Total: int64(100 * n)}},
		Totals: order.Totals{Items: int64(100 * n), Total: int64(100 * n), TaxInclusive: true}, PlacedAt: noon.Add(time.Duration(n) * time.Minute), Deadline: noon.Add(time.Hour),
	}
}

// tell has an order that these events have happened to, with its run in a state.
func (d *desk) tell(n int, state saga.State, events ...order.Event) {
	d.Helper()
	var all []eventlog.Event
	for _, e := range append([]order.Event{placed(n)}, events...) {
		name, data := record(d.T, e)
		all = append(all, eventlog.Event{Type: name, Schema: 1, Data: data, Meta: eventlog.Meta{Shop: "shop", Time: noon}})
	}
	d.update(func(tx sqlstore.Tx) error {
		if _, err := d.log.Append(tx, placed(n).ID, 0, all...); err != nil {
			return err
		}
		run := checkout.Definition().New(placed(n).ID, "orders", noon)
		if run.State = state; state == saga.Done {
			run = run.End(noon)
		}
		return saga.Begin(tx, run)
	})
}

func (d *desk) confirmed(n int) {
	d.Helper()
	d.tell(n, saga.Done, order.StockHeld{Attempt: 1}, order.Authorized{IntentID: "pay_1", Attempt: 1}, order.ConfirmedEvent{At: noon.Add(time.Hour)})
}

func (d *desk) ids(f view.Filter, before string, limit int) string {
	d.Helper()
	page, err := d.list.List(context.Background(), f, before, limit)
	d.must(err)
	var ids []string
	for _, r := range page {
		ids = append(ids, strings.TrimPrefix(r.OrderID, "ord_"))
	}
	return strings.Join(ids, " ")
}

func TestAListHasWhatWasDurableWhenItWasAskedFor(t *testing.T) {
	d := open(t)
	for n := 1; n <= 50; n++ {
		d.confirmed(n)
		if got := d.ids(view.Filter{}, "", 1); got != fmt.Sprintf("%03d", n) {
			t.Fatalf("after order %d the newest in the list is %s", n, got)
		}
	}
}

func TestARowTellsItsOrder(t *testing.T) {
	d := open(t)
	d.confirmed(3)
	page, err := d.list.List(context.Background(), view.Filter{}, "", 10)
	d.must(err)
	want := []view.Row{{
		OrderID: "ord_003", SubjectID: "sub_0", CartID: "crt_1", State: "confirmed", Currency: "GBP", Total: 300, Quantity: 3,
		PlacedAt: noon.Add(3 * time.Minute).Truncate(time.Microsecond), DecidedAt: noon.Add(time.Hour).Truncate(time.Microsecond),
	}}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Error(diff)
	}
}

func TestFiltersAndCursors(t *testing.T) {
	d := open(t)
	d.confirmed(1)
	d.tell(2, saga.Running)
	d.tell(3, saga.Done, order.StockRefused{}, order.RejectedEvent{At: noon})
	d.confirmed(4)
	for _, c := range []struct {
		given  string
		filter view.Filter
		before string
		limit  int
		want   string
	}{
		{"everything, newest first", view.Filter{}, "", 10, "004 003 002 001"},
		{"a page", view.Filter{}, "", 2, "004 003"},
		{"the page after it", view.Filter{}, "ord_003", 2, "002 001"},
		{"after the last", view.Filter{}, "ord_001", 2, ""},
		{"a cursor that is no order", view.Filter{}, "ord_0025", 2, "002 001"},
		{"pending ones", view.Filter{State: "pending"}, "", 10, "002"},
		{"confirmed ones", view.Filter{State: "confirmed"}, "", 10, "004 001"},
		{"rejected ones", view.Filter{State: "rejected"}, "", 10, "003"},
		{"a cart's", view.Filter{CartID: "crt_1"}, "", 10, "003 001"},
		{"a subject's", view.Filter{SubjectID: "sub_1"}, "", 10, "004 001"},
		{"a subject's confirmed ones from a cursor", view.Filter{SubjectID: "sub_1", State: "confirmed"}, "ord_004", 10, "001"},
		{"one order", view.Filter{OrderID: "ord_002"}, "", 10, "002"},
		{"nobody's", view.Filter{CartID: "crt_9"}, "", 10, ""},
		{"a quotation mark is only a letter", view.Filter{CartID: `' OR 1=1 --`}, "", 10, ""},
	} {
		if got := d.ids(c.filter, c.before, c.limit); got != c.want {
			t.Errorf("%s: %q, want %q", c.given, got, c.want)
		}
	}
}

func TestANewVersionOfTheRowsRebuildsThem(t *testing.T) {
	d := &desk{T: t, path: filepath.Join(t.TempDir(), "orders.db")}
	stop := d.project(view.Projection("shop"))
	d.confirmed(1)
	d.tell(2, saga.Running)
	if got := d.ids(view.Filter{}, "", 10); got != "002 001" {
		t.Fatal(got)
	}
	d.exec(`UPDATE order_view SET state = 'lost' WHERE order_id = 'ord_001'`)
	stop()
	next := view.Projection("shop")
	next.Version++
	d.project(next)
	d.ids(view.Filter{}, "", 10)
	if got := d.ids(view.Filter{State: "confirmed"}, "", 10); got != "001" {
		t.Errorf("after the rebuild %q is confirmed", got)
	}
}

func (d *desk) findings() (found []view.Finding, checked int) {
	d.Helper()
	for after := int64(0); ; {
		page, err := view.Findings(context.Background(), d.list, d.app, after)
		d.must(err)
		found, checked = append(found, page.Found...), checked+page.Checked
		if after = page.Next; after == 0 {
			return found, checked
		}
	}
}

func TestAGoodShopHasNoFindings(t *testing.T) {
	d := open(t)
	d.confirmed(1)
	d.tell(2, saga.Running)
	d.tell(3, saga.Done, order.StockRefused{}, order.RejectedEvent{At: noon, Rejection: order.Rejection{Code: "sold_out"}})
	d.tell(4, saga.Parked, order.StockHeld{}, order.RejectedEvent{At: noon, Undo: []order.Step{order.StepHold}})
	d.tell(5, saga.Compensating, order.StockHeld{}, order.RejectedEvent{At: noon, Undo: []order.Step{order.StepHold}})
	d.confirmed(6)
	d.exec(`DELETE FROM saga_runs WHERE id = 'ord_006'`) // swept, long after
	if found, checked := d.findings(); len(found) != 0 || checked != 6 {
		t.Errorf("%d orders checked, found %+v", checked, found)
	}
}

func TestEveryPlantedFaultIsNamed(t *testing.T) {
	for _, c := range []struct {
		given, sql string
		guarantee  int
		subject    string
	}{
		{"another state in the list", `UPDATE order_view SET state = 'pending' WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"another total", `UPDATE order_view SET total = total + 1 WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"another currency", `UPDATE order_view SET currency = 'EUR' WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"other pieces", `UPDATE order_view SET quantity = 0 WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"another cart", `UPDATE order_view SET cart_id = 'crt_9' WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"another subject", `UPDATE order_view SET subject_id = 'sub_9' WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"another time", `UPDATE order_view SET placed_at = placed_at + 1 WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"another time of decision", `UPDATE order_view SET decided_at = 0 WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{"a row that is gone", `DELETE FROM order_view WHERE order_id = 'ord_001'`, 7, "ord_001"},
		{
			"a row of no order", `INSERT INTO order_view SELECT 'ord_999', shop, cart_id, subject_id, state, currency, total, quantity, placed_at, decided_at
			FROM order_view WHERE order_id = 'ord_001'`, 7, "ord_999",
		},
		{"a run that goes on for nothing", `UPDATE saga_runs SET state = 'running' WHERE id = 'ord_001'`, 4, "ord_001"},
		{"an undecided order without a run", `DELETE FROM saga_runs WHERE id = 'ord_002'`, 4, "ord_002"},
		{"an undecided order whose run is done", `UPDATE saga_runs SET state = 'done' WHERE id = 'ord_002'`, 4, "ord_002"},
		{"an order with something to undo whose run is done", `UPDATE saga_runs SET state = 'done' WHERE id = 'ord_003'`, 4, "ord_003"},
		{"sums that do not add up", `UPDATE events SET data = replace(data, '"items":100,', '"items":101,') WHERE stream = 'ord_001' AND version = 1`, 8, "ord_001"},
	} {
		t.Run(c.given, func(t *testing.T) {
			d := open(t)
			d.confirmed(1)
			d.tell(2, saga.Running)
			d.tell(3, saga.Compensating, order.StockHeld{}, order.RejectedEvent{At: noon, Undo: []order.Step{order.StepHold}})
			if found, _ := d.findings(); len(found) != 0 {
				t.Fatalf("found before: %+v", found)
			}
			d.exec(c.sql)
			found, _ := d.findings()
			if len(found) != 1 || found[0].Guarantee != c.guarantee || found[0].Subject != c.subject || found[0].Rule == "" || found[0].Message == "" {
				t.Errorf("found %+v, want guarantee %d, %s", found, c.guarantee, c.subject)
			}
		})
	}
}

func TestFindingsReadMoreThanOnePage(t *testing.T) {
	d := open(t)
	const orders = 520
	for n := 1; n <= orders; n++ {
		d.confirmed(n)
	}
	d.exec(`UPDATE order_view SET total = 0 WHERE order_id = 'ord_510'`)
	found, checked := d.findings()
	if checked != orders || len(found) != 1 || found[0].Subject != "ord_510" {
		t.Errorf("%d orders checked, found %+v", checked, found)
	}
}
