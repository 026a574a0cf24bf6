package order_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/orders/order"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	deadline = noon.Add(15 * time.Minute)
)

func placed() order.Placed {
	return order.Placed{
		ID: "ord_1", CartID: "crt_1", Currency: "GBP", PlacedAt: noon, Deadline: deadline,
		Lines:    []order.Line{{SKU: "85123A", Quantity: 2, UnitPrice: 255, Tax: 85, Total: 510}},
		Shipping: order.Shipping{OptionID: "standard", Price: 395, Tax: 66},
		Totals:   order.Totals{Items: 510, Shipping: 395, Tax: 151, Total: 905, TaxInclusive: true},
	}
}

// names are the events by type, which is how a merchant would tell the story.
func names(events []order.Event) string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = strings.TrimSuffix(reflect.TypeOf(e).Name(), "Event")
	}
	return strings.Join(out, " ")
}

// tell folds facts one after the other, as the log would hold them.
func tell(t failer, o *order.Order, now time.Time, facts ...order.Event) (all []order.Event) {
	t.Helper()
	for _, fact := range facts {
		events, err := o.Hear(fact, now)
		if err != nil {
			t.Fatalf("a fact was refused: %v", err)
		}
		for _, e := range events {
			if err := o.Evolve(e); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, events...)
	}
	return all
}

func TestAnOrderIsToldInScripts(t *testing.T) {
	held, authorized := order.StockHeld{Attempt: 1}, order.Authorized{IntentID: "pay_1", Attempt: 1}
	declined := order.Declined{IntentID: "pay_1", Code: "insufficient_funds"}
	unknown := order.Unknown{IntentID: "pay_1"}
	short := order.StockRefused{Lines: []order.Short{{SKU: "85123A", Message: "only 1 left"}}}
	for _, c := range []struct {
		given  string
		facts  []order.Event
		late   bool // the deadline passes after the facts
		after  []order.Event
		then   string
		status order.Status
		undo   []order.Step
	}{
		{given: "held and paid is confirmed", facts: []order.Event{held, authorized}, then: "StockHeld Authorized Confirmed", status: order.Confirmed},
		{given: "the payment may be heard of before the hold", facts: []order.Event{authorized, held}, then: "Authorized StockHeld Confirmed", status: order.Confirmed},
		{given: "sold out is rejected with nothing to undo", facts: []order.Event{short}, then: "StockRefused Rejected", status: order.Rejected},
		{given: "a decline releases the hold", facts: []order.Event{held, declined}, then: "StockHeld Declined Rejected", status: order.Rejected, undo: []order.Step{order.StepHold}},
		{given: "unknown waits", facts: []order.Event{held, unknown}, then: "StockHeld Unknown", status: order.Pending},
		{given: "unknown that turns out paid is confirmed", facts: []order.Event{held, unknown, authorized}, then: "StockHeld Unknown Authorized Confirmed", status: order.Confirmed},
		{
			given: "unknown at the deadline is cancelled, then released", facts: []order.Event{held, unknown}, late: true,
			then: "StockHeld Unknown Rejected", status: order.Rejected, undo: []order.Step{order.StepPay, order.StepHold},
		},
		{
			given: "paid after the rejection is recorded and voided", facts: []order.Event{held, unknown}, late: true, after: []order.Event{authorized},
			then: "StockHeld Unknown Rejected Authorized", status: order.Rejected, undo: []order.Step{order.StepPay, order.StepHold},
		},
		{
			given: "paid after all was undone is voided again", facts: []order.Event{held, unknown}, late: true,
			after: []order.Event{order.Undone{Step: order.StepPay, Outcome: "none"}, order.Undone{Step: order.StepHold, Outcome: "released"}, authorized},
			then:  "StockHeld Unknown Rejected Undone Undone Authorized UndoQueued", status: order.Rejected, undo: []order.Step{order.StepPay},
		},
		{given: "a fact heard twice counts once", facts: []order.Event{held, held, authorized, authorized, held}, then: "StockHeld Authorized Confirmed", status: order.Confirmed},
		{given: "unknown heard after paid is old news", facts: []order.Event{held, authorized, unknown}, then: "StockHeld Authorized Confirmed", status: order.Confirmed},
	} {
		t.Run(c.given, func(t *testing.T) {
			o, err := order.Fold(placed())
			if err != nil {
				t.Fatal(err)
			}
			events := tell(t, &o, noon, c.facts...)
			if c.late {
				for _, e := range o.Expire(deadline) {
					events = append(events, e)
					if err := o.Evolve(e); err != nil {
						t.Fatal(err)
					}
				}
			}
			events = append(events, tell(t, &o, deadline, c.after...)...)
			if got := names(events); got != c.then {
				t.Errorf("events are %s, want %s", got, c.then)
			}
			if o.Status != c.status || !slices.Equal(o.Undo, c.undo) {
				t.Errorf("the order is %s with %v to undo, want %s with %v", o.Status, o.Undo, c.status, c.undo)
			}
		})
	}
}

func TestPlacingRefusesWhatDoesNotAddUp(t *testing.T) {
	for _, c := range []struct {
		given string
		spoil func(*order.Placed)
		code  string
	}{
		{"no lines", func(p *order.Placed) { p.Lines = nil }, "cart_incomplete"},
		{"more lines than an order may have", func(p *order.Placed) { p.Lines = make([]order.Line, order.LinesMax+1) }, "cart_incomplete"},
		{"a line without pieces", func(p *order.Placed) { p.Lines[0].Quantity = 0 }, "invalid_request"},
		{"a total one minor unit off", func(p *order.Placed) { p.Totals.Total++ }, "totals_do_not_add_up"},
		{"a tax that no line bears", func(p *order.Placed) { p.Totals.Tax++ }, "totals_do_not_add_up"},
		{"shipping that is not in the total", func(p *order.Placed) { p.Shipping.Price++ }, "totals_do_not_add_up"},
		{"tax that is to be added and was not", func(p *order.Placed) { p.Totals.TaxInclusive = false }, "totals_do_not_add_up"},
	} {
		t.Run(c.given, func(t *testing.T) {
			p := placed()
			c.spoil(&p)
			if _, err := order.Place(p); !problem.Is(err, c.code) {
				t.Errorf("placing gave %v, want %s", err, c.code)
			}
		})
	}
	if events, err := order.Place(placed()); err != nil || names(events) != "Placed" {
		t.Errorf("a good order gave %s, %v", names(events), err)
	}
}

// However facts, duplicates and the deadline are mixed: an order is decided once, it is
// confirmed only when held and paid, and what a rejection leaves behind is queued to be undone.
func TestAnyOrderOfFactsIsDecidedOnceAndLeavesNothingBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, err := order.Fold(placed())
		if err != nil {
			t.Fatal(err)
		}
		fact := rapid.SampledFrom([]order.Event{
			order.StockHeld{Attempt: 1},
			order.StockRefused{},
			order.Authorized{IntentID: "pay_1"},
			order.Declined{IntentID: "pay_1"},
			order.Unknown{IntentID: "pay_1"},
			order.Undone{Step: order.StepPay, Outcome: "voided"},
			order.Undone{Step: order.StepHold, Outcome: "released"},
			nil,
		})
		decisions, confirmed := 0, false
		for i, f := range rapid.SliceOfN(fact, 1, 20).Draw(t, "facts") {
			var events []order.Event
			if f == nil {
				events = o.Expire(deadline)
			} else if events, err = o.Hear(f, noon); err != nil {
				t.Fatalf("fact %d was refused: %v", i, err)
			}
			for _, e := range events {
				switch e.(type) {
				case order.ConfirmedEvent:
					decisions, confirmed = decisions+1, true
					if !o.Held || o.Payment != order.PaymentAuthorized {
						t.Fatalf("confirmed with held=%v and payment %s", o.Held, o.Payment)
					}
				case order.RejectedEvent:
					decisions++
				}
				if err := o.Evolve(e); err != nil {
					t.Fatal(err)
				}
			}
		}
		if decisions > 1 || confirmed != (o.Status == order.Confirmed) {
			t.Fatalf("%d decisions, now %s", decisions, o.Status)
		}
		if o.Status == order.Rejected && o.Held && !slices.Contains(o.Undo, order.StepHold) {
			t.Fatalf("rejected, held, and nobody releases: %s", fmt.Sprint(o.Undo))
		}
		if o.Status == order.Rejected && o.Payment == order.PaymentAuthorized && !slices.Contains(o.Undo, order.StepPay) {
			t.Fatalf("rejected, paid, and nobody voids: %s", fmt.Sprint(o.Undo))
		}
	})
}
