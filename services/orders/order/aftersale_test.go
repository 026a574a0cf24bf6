package order_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/orders/order"
)

// failer is a test, of whatever kind.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// sale is a confirmed order of two lines: 3 pieces that come to 1000, which does not divide, and 2 that come to 500; shipping is 100.
func sale(t failer, multi bool) *order.Order {
	t.Helper()
	p := order.Placed{
		ID: "ord_1", SubjectID: "17850", Currency: "GBP", PlacedAt: noon, Deadline: deadline,
		Lines: []order.Line{
			{SKU: "85123A", Quantity: 3, UnitPrice: 334, Discount: 2, Total: 1000},
			{SKU: "71053", Quantity: 2, UnitPrice: 250, Total: 500},
		},
		Shipping: order.Shipping{Price: 100},
		Totals:   order.Totals{Items: 1502, Discount: 2, Shipping: 100, Total: 1600, TaxInclusive: true},
	}
	if err := p.Balance(); err != nil {
		t.Fatal(err)
	}
	o, err := order.Fold(p)
	if err != nil {
		t.Fatal(err)
	}
	tell(t, &o, noon, order.StockHeld{Attempt: 1}, order.Authorized{IntentID: "pay_1", Attempt: 1, MultiCapture: multi})
	if o.Status != order.Confirmed {
		t.Fatalf("the order is %s", o.Status)
	}
	return &o
}

// do takes a decision into the order, and gives its events by name; a refusal by its code.
func do(t failer, o *order.Order, events []order.Event, err error) string {
	t.Helper()
	if err != nil {
		if p := problem.Of(err); p != nil {
			return p.Code
		}
		t.Fatal(err)
	}
	for _, e := range events {
		if err := o.Evolve(e); err != nil {
			t.Fatal(err)
		}
	}
	return names(events)
}

// act is one thing that happens to an order in a script.
type act func(t failer, o *order.Order) string

func fact(f order.Event) act {
	return func(t failer, o *order.Order) string { return names(tell(t, o, noon, f)) }
}

// left is a parcel: pieces of line 1 and of line 2.
func left(parcel string, first, second int32) act {
	var pieces []order.Piece
	for i, n := range []int32{first, second} {
		if n > 0 {
			pieces = append(pieces, order.Piece{Line: int32(i) + 1, Quantity: n})
		}
	}
	return fact(order.Dispatched{ParcelID: parcel, Pieces: pieces, At: noon})
}

func taken(n int, amount int64) act {
	return fact(order.Captured{ID: fmt.Sprintf("cap_1.%d", n), Amount: amount})
}

func givenBack(n int, amount int64) act {
	return fact(order.Refunded{ID: fmt.Sprintf("rfd_1.%d", n), Amount: amount})
}

func cancel(t failer, o *order.Order) string {
	events, err := o.Cancel("changed my mind", noon)
	return do(t, o, events, err)
}

// stopped is shipping's answer: what had left of each line.
func stopped(first, second int32) act {
	return func(t failer, o *order.Order) string {
		return do(t, o, o.Stopped([]order.Piece{{Line: 1, Quantity: first}, {Line: 2, Quantity: second}}, noon), nil)
	}
}

func capture(amount int64) act {
	return func(t failer, o *order.Order) string {
		events, err := o.RequestCapture(amount)
		return do(t, o, events, err)
	}
}

func refund(amount int64) act {
	return func(t failer, o *order.Order) string {
		events, err := o.RequestRefund(amount, "goodwill", noon)
		return do(t, o, events, err)
	}
}

func open(id string, lines ...order.ReturnedLine) act {
	return func(t failer, o *order.Order) string {
		events, err := o.OpenReturn(order.Opening{ID: id, Lines: lines, At: noon})
		return do(t, o, events, err)
	}
}

func receive(id string, lines ...order.ReturnedLine) act {
	return func(t failer, o *order.Order) string {
		events, err := o.ReceiveReturn(order.Receipt{ID: id, Lines: lines, At: noon, Now: noon})
		return do(t, o, events, err)
	}
}

func pieces(line, n int32) order.ReturnedLine { return order.ReturnedLine{Line: line, Quantity: n} }

// script is a story of an order after its confirmation.
type script struct {
	given     string
	whole     bool // the provider takes the money once
	acts      []act
	then      string // what each act gives
	state     order.Status
	fulfilled string
	paid      string
	money     string // taken, given back
}

func play(t *testing.T, scripts []script) {
	for _, c := range scripts {
		t.Run(c.given, func(t *testing.T) {
			o := sale(t, !c.whole)
			told := make([]string, len(c.acts))
			for i, do := range c.acts {
				told[i] = do(t, o)
			}
			if got := strings.Join(told, " | "); got != c.then {
				t.Errorf("it went   %s\nand not   %s", got, c.then)
			}
			got := fmt.Sprintf("%s %s %s %d %d", o.Status, o.FulfilmentState(), o.PaymentState(), o.Taken(), o.GivenBack())
			if want := fmt.Sprintf("%s %s %s %s", c.state, c.fulfilled, c.paid, c.money); got != want {
				t.Errorf("the order is %s, want %s", got, want)
			}
		})
	}
}

func TestParcelsAreToldInScripts(t *testing.T) {
	play(t, []script{
		{
			given: "what leaves is taken", acts: []act{left("a", 3, 2), taken(1, 1600)},
			then: "Dispatched CaptureRequested | Captured", state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "1600 0",
		},
		{
			given: "a part that leaves is taken at its share, shipping with the first", acts: []act{left("a", 1, 0), taken(1, 434), left("b", 2, 2), taken(2, 1166)},
			then:  "Dispatched CaptureRequested | Captured | Dispatched CaptureRequested | Captured",
			state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "1600 0",
		},
		{
			given: "a provider that takes once takes at the last parcel", whole: true, acts: []act{left("a", 1, 0), left("b", 2, 2), taken(1, 1600)},
			then: "Dispatched | Dispatched CaptureRequested | Captured", state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "1600 0",
		},
		{
			given: "a parcel heard twice counts once", acts: []act{left("a", 3, 2), left("a", 3, 2)},
			then: "Dispatched CaptureRequested | ", state: order.Confirmed, fulfilled: "dispatched", paid: "authorized", money: "0 0",
		},
		{
			given: "money that cannot be taken is due, also when that is heard twice, and not when it is taken after all",
			acts:  []act{left("a", 3, 2), fact(order.CaptureFailed{ID: "cap_1.1", Code: "x"}), fact(order.CaptureFailed{ID: "cap_1.1", Code: "x"})},
			then:  "Dispatched CaptureRequested | CaptureFailed | ", state: order.Confirmed, fulfilled: "dispatched", paid: "payment_due", money: "0 0",
		},
		{
			given: "what is due and then taken is captured", acts: []act{left("a", 3, 2), fact(order.CaptureFailed{ID: "cap_1.1", Code: "x"}), taken(1, 1600)},
			then: "Dispatched CaptureRequested | CaptureFailed | Captured", state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "1600 0",
		},
	})
}

func TestCancellationsAreToldInScripts(t *testing.T) {
	play(t, []script{
		{
			given: "a cancellation asks shipping first, then lets everything go", acts: []act{cancel, stopped(0, 0)},
			then: "CancelRequested | Canceled", state: order.Canceled, fulfilled: "none", paid: "authorized", money: "0 0",
		},
		{
			given: "a cancellation that comes too late leaves the order as it is", acts: []act{left("a", 3, 2), cancel},
			then: "Dispatched CaptureRequested | already_dispatched", state: order.Confirmed, fulfilled: "dispatched", paid: "authorized", money: "0 0",
		},
		{
			given: "shipping knows first that all has left", acts: []act{cancel, stopped(3, 2), left("a", 3, 2), taken(1, 1600)},
			then:  "CancelRequested | CancelRefused | Dispatched CaptureRequested | Captured",
			state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "1600 0",
		},
		{
			given: "the rest of an order is canceled, and what left is taken as the last",
			acts:  []act{left("a", 1, 0), taken(1, 434), cancel, stopped(1, 2), left("b", 0, 2), taken(2, 500)},
			then:  "Dispatched CaptureRequested | Captured | CancelRequested | Canceled | Dispatched CaptureRequested | Captured",
			state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "934 0",
		},
		{
			given: "a canceled rest lets the rest of the money go", acts: []act{left("a", 1, 0), taken(1, 434), cancel, stopped(1, 0)},
			then:  "Dispatched CaptureRequested | Captured | CancelRequested | Canceled UndoQueued",
			state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "434 0",
		},
		{
			given: "money taken before a cancellation is given back", acts: []act{capture(0), taken(1, 1600), cancel, stopped(0, 0), givenBack(1, 1600)},
			then:  "CaptureRequested | Captured | CancelRequested | Canceled RefundRequested | Refunded",
			state: order.Canceled, fulfilled: "none", paid: "refunded", money: "1600 1600",
		},
		{
			given: "money that turns out taken after the cancellation is given back", acts: []act{capture(0), cancel, stopped(0, 0), taken(1, 1600), givenBack(1, 1600)},
			then:  "CaptureRequested | CancelRequested | Canceled | Captured RefundRequested | Refunded",
			state: order.Canceled, fulfilled: "none", paid: "refunded", money: "1600 1600",
		},
		{
			given: "no money is taken of an order that is being canceled", acts: []act{cancel, capture(0), stopped(0, 0), capture(0)},
			then: "CancelRequested | order_canceled | Canceled | order_canceled", state: order.Canceled, fulfilled: "none", paid: "authorized", money: "0 0",
		},
		{
			given: "money taken before dispatch is not taken again", acts: []act{capture(0), taken(1, 1600), left("a", 3, 2)},
			then: "CaptureRequested | Captured | Dispatched", state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "1600 0",
		},
		{
			given: "what was taken for pieces that never leave is given back", acts: []act{capture(0), taken(1, 1600), left("a", 3, 0), cancel, stopped(3, 0), givenBack(1, 500)},
			then:  "CaptureRequested | Captured | Dispatched | CancelRequested | Canceled RefundRequested | Refunded",
			state: order.Confirmed, fulfilled: "dispatched", paid: "partly_refunded", money: "1600 500",
		},
		{
			given: "a provider that takes once takes no part", whole: true, acts: []act{capture(100), capture(0), capture(0)},
			then: "invalid_request | CaptureRequested | nothing_to_capture", state: order.Confirmed, fulfilled: "none", paid: "authorized", money: "0 0",
		},
	})
}

func TestReturnsAreToldInScripts(t *testing.T) {
	play(t, []script{
		{
			given: "a return gives each piece its share, the odd minor unit to the first",
			acts:  []act{left("a", 3, 2), taken(1, 1600), open("r1", pieces(1, 1)), receive("r1"), givenBack(1, 334), open("r2", pieces(1, 2)), receive("r2"), givenBack(2, 666)},
			then: "Dispatched CaptureRequested | Captured | ReturnOpened | ReturnReceived RefundRequested | Refunded | " +
				"ReturnOpened | ReturnReceived RefundRequested | Refunded",
			state: order.Confirmed, fulfilled: "partly_returned", paid: "partly_refunded", money: "1600 1000",
		},
		{
			given: "everything comes back", acts: []act{left("a", 3, 2), taken(1, 1600), open("r1"), receive("r1"), givenBack(1, 1500)},
			then:  "Dispatched CaptureRequested | Captured | ReturnOpened | ReturnReceived RefundRequested | Refunded",
			state: order.Confirmed, fulfilled: "returned", paid: "partly_refunded", money: "1600 1500",
		},
		{
			given: "nothing comes back that has not left", acts: []act{open("r1"), left("a", 1, 0), open("r2", pieces(1, 2)), open("r3", pieces(1, 1)), open("r4", pieces(1, 1))},
			then:  "not_returnable | Dispatched CaptureRequested | not_returnable | ReturnOpened | not_returnable",
			state: order.Confirmed, fulfilled: "partly_dispatched", paid: "authorized", money: "0 0",
		},
		{
			given: "a return received twice gives back once, and less may come than was announced",
			acts:  []act{left("a", 3, 2), taken(1, 1600), open("r1", pieces(1, 2)), receive("r1", pieces(1, 1)), receive("r1"), open("r2", pieces(1, 2))},
			then:  "Dispatched CaptureRequested | Captured | ReturnOpened | ReturnReceived RefundRequested |  | ReturnOpened",
			state: order.Confirmed, fulfilled: "partly_returned", paid: "captured", money: "1600 0",
		},
		{
			given: "more does not come than was announced", acts: []act{left("a", 3, 2), open("r1", pieces(1, 1)), receive("r1", pieces(1, 2)), receive("r1", pieces(2, 1))},
			then:  "Dispatched CaptureRequested | ReturnOpened | invalid_request | invalid_request",
			state: order.Confirmed, fulfilled: "dispatched", paid: "authorized", money: "0 0",
		},
		{
			given: "a refund is bounded by what was taken, less what is promised", acts: []act{refund(1), left("a", 3, 2), refund(1), taken(1, 1600), refund(1000), refund(601), refund(600), refund(1)},
			then:  "not_refundable | Dispatched CaptureRequested | not_refundable | Captured | RefundRequested | not_refundable | RefundRequested | not_refundable",
			state: order.Confirmed, fulfilled: "dispatched", paid: "captured", money: "1600 0",
		},
		{
			given: "a return after a refund gives back what is left",
			acts:  []act{left("a", 3, 2), taken(1, 1600), refund(1000), open("r1"), receive("r1"), givenBack(1, 1000), givenBack(2, 600)},
			then: "Dispatched CaptureRequested | Captured | RefundRequested | ReturnOpened | ReturnReceived RefundRequested | Refunded | " +
				"Refunded",
			state: order.Confirmed, fulfilled: "returned", paid: "refunded", money: "1600 1600",
		},
	})
}

func TestAnUndecidedOrderIsRejectedByItsCancellation(t *testing.T) {
	o, err := order.Fold(placed())
	if err != nil {
		t.Fatal(err)
	}
	if got := cancel(t, &o); got != "Rejected" || o.Rejection.Code != order.RejectCanceled {
		t.Fatalf("it gave %s, the order is %s", got, o.Status)
	}
	if want := []order.Step{order.StepPay, order.StepHold}; fmt.Sprint(o.Undo) != fmt.Sprint(want) {
		t.Errorf("%v is undone, want %v: either may be under way", o.Undo, want)
	}
	if got := cancel(t, &o); got != "" {
		t.Errorf("canceling again gave %s", got)
	}
	late := names(tell(t, &o, noon, order.StockHeld{Attempt: 1}, order.Authorized{IntentID: "pay_1", Attempt: 1}))
	if o.Status != order.Rejected || late != "StockHeld Authorized" {
		t.Errorf("late effects gave %s", late)
	}
}

func TestStoreCreditIsHeldBeforeTheRestIsPaid(t *testing.T) {
	p := placed()
	p.Credit = 300
	o, err := order.Fold(p)
	if err != nil {
		t.Fatal(err)
	}
	if o.ToPay() != 605 {
		t.Errorf("the provider is asked for %d", o.ToPay())
	}
	if got := names(tell(t, &o, noon, order.StockHeld{Attempt: 1}, order.Authorized{IntentID: "pay_1"})); got != "StockHeld Authorized" {
		t.Errorf("without its credit the order gave %s", got)
	}
	if got := names(tell(t, &o, noon, order.CreditHeld{})); got != "CreditHeld Confirmed" {
		t.Errorf("with its credit the order gave %s", got)
	}
	p.Credit = p.Totals.Total
	all, err := order.Fold(p)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(tell(t, &all, noon, order.CreditHeld{}, order.StockHeld{Attempt: 1})); got != "CreditHeld StockHeld Confirmed" {
		t.Errorf("an order that credit pays whole gave %s", got)
	}
	refused, err := order.Fold(p)
	if err != nil {
		t.Fatal(err)
	}
	got := names(tell(t, &refused, noon, order.StockHeld{Attempt: 1}, order.CreditRefused{Code: "insufficient_credit"}))
	if got != "StockHeld CreditRefused Rejected" || fmt.Sprint(refused.Undo) != "[hold]" {
		t.Errorf("a refused credit gave %s, and %v is undone", got, refused.Undo)
	}
	if p.Credit++; !problem.Is(second(order.Place(p)), "invalid_request") {
		t.Error("more credit than the total was taken")
	}
}

func second(_ []order.Event, err error) error { return err }
