package view_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/services/orders/order"
	"github.com/seed-21071466/souk/services/orders/view"
)

// teller makes up what happens to orders: any event after any other, sensible or not.
type teller struct {
	*rand.Rand
	returns int
}

func (r *teller) place(n int) order.Placed {
	p := placed(n)
	p.Lines, p.Totals = nil, order.Totals{TaxInclusive: true}
	for range 1 + r.IntN(4) {
		l := order.Line{SKU: pick(r.Rand, "A", "B", "C"), Quantity: 1 + r.Int32N(5), UnitPrice: r.Int64N(100), Discount: r.Int64N(3)}
		l.Total = l.UnitPrice*int64(l.Quantity) - l.Discount
		p.Lines = append(p.Lines, l)
		p.Totals.Items += l.UnitPrice * int64(l.Quantity)
		p.Totals.Discount += l.Discount
	}
	p.Totals.Total = p.Totals.Items - p.Totals.Discount
	p.Currency = pick(r.Rand, "GBP", "GBP", "JPY")
	p.SoldAt = r.when()
	p.Credit = pick(r.Rand, 0, p.Totals.Total)
	return p
}

func (r *teller) when() time.Time { return noon.Add(time.Duration(r.IntN(72)) * time.Hour) }

func (r *teller) money(kind string) string { return fmt.Sprintf("%s_%d", kind, r.IntN(3)) }

func (r *teller) pieces() (pieces []order.Piece) {
	for range r.IntN(3) {
		pieces = append(pieces, order.Piece{Line: r.Int32N(6), Quantity: 1 + r.Int32N(3)})
	}
	return pieces
}

func (r *teller) coming() (lines []order.ReturnedLine) {
	for _, p := range r.pieces() {
		lines = append(lines, order.ReturnedLine{Line: p.Line, SKU: pick(r.Rand, "A", "B"), Quantity: p.Quantity, WriteOff: r.IntN(2) == 0, Refund: r.Int64N(200)})
	}
	return lines
}

func (r *teller) event() order.Event {
	returnID := fmt.Sprintf("ret_%d", r.IntN(r.returns+1))
	switch r.IntN(22) {
	case 0:
		return order.StockHeld{}
	case 1:
		return order.Authorized{IntentID: "pay_1", MultiCapture: true}
	case 2, 3, 4:
		return order.ConfirmedEvent{At: r.when()}
	case 5:
		return order.RejectedEvent{At: r.when(), Rejection: order.Rejection{Code: "sold_out"}}
	case 6:
		return order.CancelRequested{At: r.when()}
	case 7:
		var items []order.Item
		for _, p := range r.pieces() {
			items = append(items, order.Item{Line: p.Line, Quantity: p.Quantity})
		}
		return order.CanceledEvent{Items: items, Whole: r.IntN(2) == 0, Undo: pick(r.Rand, nil, undoing), At: r.when()}
	case 8:
		return order.CancelRefused{Code: order.CancelTooLate, At: r.when()}
	case 9, 10:
		return order.Dispatched{ParcelID: "par", Pieces: r.pieces(), At: r.when()}
	case 11:
		return order.CaptureRequested{ID: r.money("cap"), Amount: r.Int64N(300)}
	case 12:
		return order.Captured{ID: r.money("cap"), Amount: r.Int64N(300)}
	case 13:
		return order.CaptureFailed{ID: r.money("cap"), Code: "no"}
	case 14:
		r.returns++ // no return is opened twice
		return order.ReturnOpened{ID: fmt.Sprintf("ret_%d", r.returns), Lines: r.coming(), Reason: "why", Reference: pick(r.Rand, "", "C1"), At: r.when()}
	case 15, 16:
		return order.ReturnReceived{ID: returnID, Lines: r.coming(), Refund: r.Int64N(300), At: r.when()}
	case 17:
		return order.ReturnClosed{ID: returnID, Reason: pick(r.Rand, "", "changed"), At: r.when()}
	case 18:
		return order.RefundRequested{ID: r.money("rfd"), ReturnID: pick(r.Rand, "", returnID), Amount: r.Int64N(100), At: r.when()}
	case 19:
		return order.Refunded{ID: r.money("rfd"), Amount: r.Int64N(100)}
	case 20:
		return order.Undone{Step: order.StepPay, Outcome: "voided"}
	}
	return pick[order.Event](r.Rand, order.Declined{IntentID: "pay_1"}, order.CreditHeld{}, order.UndoQueued{Step: order.StepPay}, order.RefundFailed{ID: "rfd_1", Code: "no"})
}

// toldEvents are the events so far, and a memory of orders that a process might have: mostly there, sometimes ahead.
type toldEvents struct {
	mu     sync.Mutex
	events map[string][]order.Event
	asked  int
}

func newTold() *toldEvents { return &toldEvents{events: map[string][]order.Event{}} }

func (t *toldEvents) tell(orderID string, events ...order.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events[orderID] = append(t.events[orderID], events...)
}

func (t *toldEvents) recent(orderID string) (order.Order, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
	o, err := order.Fold(t.events[orderID]...)
	return o, err == nil && t.asked%5 != 0
}

// Whatever happens to orders, in whatever order and batches, across restarts, the rows are what the heart says of them.
func TestRowsAreTheFoldOfAnyMixtureOfEvents(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			told := newTold()
			d := &desk{TB: t, path: filepath.Join(t.TempDir(), "orders.db")}
			if seed%2 == 0 {
				d.recent = told.recent
			}
			d.project(0)
			r := &teller{Rand: rand.New(rand.NewPCG(seed, 7))}
			for n := 1; n <= 12; n++ {
				p := r.place(n)
				told.tell(p.ID, p)
				d.append(p.ID, p)
			}
			for range 100 {
				id := placed(1 + r.IntN(12)).ID
				var some []order.Event
				for range 1 + r.IntN(4) {
					some = append(some, r.event())
				}
				told.tell(id, some...)
				d.append(id, some...)
				switch r.IntN(40) {
				case 0:
					d.stop()
					d.project(0)
				case 1, 2, 3:
					d.page(view.Filter{}, first, 1)
				}
			}
			d.rowsTell(told.events)
			found, _ := d.findings()
			for _, f := range found {
				if f.Guarantee == 7 {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// rowsTell compares the rows with what the heart says.
func (d *desk) rowsTell(told map[string][]order.Event) {
	d.Helper()
	rows := d.page(view.Filter{}, first, 100)
	if len(rows) != len(told) {
		d.Errorf("%d rows of %d orders", len(rows), len(told))
	}
	returns := map[string][]view.Return{}
	for _, r := range d.returns(view.ReturnFilter{}, first, 1000) {
		returns[r.OrderID] = append(returns[r.OrderID], r)
	}
	for _, row := range rows {
		o, err := order.Fold(told[row.OrderID]...)
		d.must(err)
		d.rowTells(row, &o)
		d.returnsTell(returns[row.OrderID], &o)
	}
}

func (d *desk) rowTells(row view.Row, o *order.Order) {
	d.Helper()
	want := view.Row{
		OrderID: o.ID, CartID: o.CartID, SubjectID: o.SubjectID, Country: o.Country, Currency: o.Currency, Total: o.Totals.Total, Quantity: o.Quantity(),
		Day: o.SoldAt.Format("2006-01-02"), SoldAt: o.SoldAt.Truncate(time.Microsecond), PlacedAt: o.PlacedAt.Truncate(time.Microsecond),
		State: string(o.Status), PaymentState: o.PaymentState(), FulfilmentState: o.FulfilmentState(),
		Captured: o.Taken(), Refunded: o.GivenBack(), Weight: row.Weight,
	}
	if o.Status != order.Pending && !o.DecidedAt.IsZero() {
		want.DecidedAt = o.DecidedAt.Truncate(time.Microsecond)
	}
	if o.Status == order.Rejected {
		want.Rejection = o.Rejection.Code
	}
	if diff := gocmp.Diff(want, row); diff != "" {
		d.Errorf("order %s: %s", o.ID, diff)
	}
}

func (d *desk) returnsTell(rows []view.Return, o *order.Order) {
	d.Helper()
	var want []view.Return
	for _, r := range o.Returns {
		row := view.Return{OrderID: o.ID, SubjectID: o.SubjectID, Currency: o.Currency, Return: r}
		row.OpenedAt, row.ReceivedAt = r.OpenedAt.Truncate(time.Microsecond), r.ReceivedAt.Truncate(time.Microsecond)
		for _, refund := range o.Refunds {
			if refund.ReturnID == r.ID {
				row.RefundID = refund.ID
			}
		}
		want = append(want, row)
	}
	byID := func(a, b view.Return) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(want, byID)
	slices.SortFunc(rows, byID)
	if diff := gocmp.Diff(want, rows); diff != "" {
		d.Errorf("returns of order %s: %s", o.ID, diff)
	}
}

func (d *desk) returns(f view.ReturnFilter, after view.Mark, limit int) []view.Return {
	d.Helper()
	page, err := d.list.Returns(context.Background(), f, after, limit)
	d.must(err)
	return page
}
