package order

import (
	"slices"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// LinesMax bounds an order, so that one order cannot hold up the others.
const LinesMax = 2000

// Place decides a new order, or refuses one that does not add up.
func Place(p Placed) ([]Event, error) {
	if len(p.Lines) == 0 || len(p.Lines) > LinesMax {
		return nil, problem.Newf(problem.Unprocessable, "cart_incomplete", "an order has 1 to %d lines", LinesMax).
			On("lines", "out_of_range", "put something into the cart first")
	}
	if err := p.Balance(); err != nil {
		return nil, err
	}
	if p.Totals.Total <= 0 {
		return nil, problem.New(problem.Unprocessable, "nothing_to_pay", "an order that costs nothing cannot be placed yet")
	}
	if p.Credit < 0 || p.Credit > p.Totals.Total {
		return nil, problem.Field("payment.credit", "out_of_range", "at most the total of the order")
	}
	return []Event{p}, nil
}

// Balance checks guarantee 8: lines + shipping + tax − discounts = total, to the minor unit.
func (p *Placed) Balance() error {
	items, discount, tax := int64(0), int64(0), p.Shipping.Tax
	for _, l := range p.Lines {
		if l.Quantity < 1 || l.UnitPrice < 0 {
			return problem.Field("lines", "out_of_range", "line "+l.SKU+" has no quantity or a negative price")
		}
		if want := l.sum(p.Totals.TaxInclusive); l.Total != want {
			return problem.Newf(problem.Internal, "totals_do_not_add_up", "line %s comes to %d minor units, the cart says %d", l.SKU, want, l.Total)
		}
		items += l.UnitPrice * int64(l.Quantity)
		discount += l.Discount
		tax += l.Tax
	}
	total := items - discount + p.Shipping.Price
	if !p.Totals.TaxInclusive {
		total += tax
	}
	t := p.Totals
	if t.Items != items || t.Discount != discount || t.Tax != tax || t.Shipping != p.Shipping.Price || t.Total != total {
		return problem.Newf(problem.Internal, "totals_do_not_add_up",
			"lines come to %d minor units in all, the cart says %d", total, t.Total)
	}
	return nil
}

// sum is what a line adds to the total.
func (l *Line) sum(taxInclusive bool) int64 {
	sum := l.UnitPrice*int64(l.Quantity) - l.Discount
	if !taxInclusive {
		sum += l.Tax
	}
	return sum
}

// Hear takes a fact, which is never refused, and answers with it and with the
// decision or the undoing that it calls for. A fact already known gives nothing.
func (o *Order) Hear(fact Event, now time.Time) ([]Event, error) {
	if o.Status == Absent {
		return nil, problem.New(problem.NotFound, "order_not_found", "there is no such order")
	}
	if o.knows(fact) {
		return nil, nil
	}
	next := *o
	if err := next.Evolve(fact); err != nil {
		return nil, err
	}
	return append([]Event{o.complete(fact)}, next.answer(fact, now)...), nil
}

// complete gives a fact what others need to act on it.
func (o *Order) complete(fact Event) Event {
	switch f := fact.(type) {
	case CaptureFailed:
		f.SubjectID, f.Currency, f.Amount = o.SubjectID, o.Currency, o.Capture(f.ID).Amount
		f.Due = o.FulfilmentState() != "none"
		return f
	case Refunded:
		f.SubjectID, f.Currency = o.SubjectID, o.Currency
		return f
	}
	return fact
}

// knows tells a fact that was heard before.
func (o *Order) knows(fact Event) bool {
	switch f := fact.(type) {
	case StockHeld:
		return o.Held
	case StockRefused, CreditRefused:
		return o.Status == Rejected
	case CreditHeld:
		return o.CreditHeld
	case Authorized:
		return o.IntentID == f.IntentID && (o.Payment == PaymentAuthorized || o.Payment == PaymentVoided)
	case Declined:
		return o.IntentID == f.IntentID && o.Payment != PaymentNone && o.Payment != PaymentUnknown
	case Unknown:
		return o.IntentID == f.IntentID && o.Payment != PaymentNone
	case Undone:
		return !o.undoing(f.Step) && !o.lapsed(f)
	case Dispatched:
		return slices.Contains(o.Parcels, f.ParcelID)
	}
	return o.knowsMoney(fact)
}

// lapsed tells that the provider has let go of a confirmed order's money by itself, before any of it was asked for.
func (o *Order) lapsed(f Undone) bool {
	return f.Step == StepPay && f.Outcome == "voided" && o.Payment == PaymentAuthorized &&
		(o.Status == Confirmed || o.Status == Canceling) && len(o.Captures) == 0
}

// knowsMoney tells a fact of a capture or a refund that was heard before. A failure that repeats is no news.
func (o *Order) knowsMoney(fact Event) bool {
	switch f := fact.(type) {
	case Captured:
		return o.Capture(f.ID).State == MoneyDone
	case CaptureFailed:
		c := o.Capture(f.ID)
		return c.State == MoneyDone || c.State == MoneyDropped || c.State == MoneyFailed && c.Code == f.Code
	case Refunded:
		return o.Refund(f.ID).State == MoneyDone
	case RefundFailed:
		r := o.Refund(f.ID)
		return r.State == MoneyDone || r.State == MoneyDropped || r.State == MoneyFailed && r.Code == f.Code
	}
	return false
}

// answer is what a fact, already evolved, calls for.
func (o *Order) answer(fact Event, now time.Time) []Event {
	switch f := fact.(type) {
	case StockHeld, CreditHeld, Authorized:
		return o.afterEffect(f, now)
	case Dispatched:
		return o.settle(now)
	case Captured:
		if o.Complete() {
			return o.giveBack(now)
		}
	case CaptureFailed:
		if o.Complete() && o.Status != Canceled {
			return o.settle(now)
		}
	case StockRefused:
		if o.Status == Pending {
			return o.rejection(soldOut(f.Lines), now)
		}
	case CreditRefused:
		if o.Status == Pending {
			return o.rejection(noCredit(), now)
		}
	case Declined:
		if o.Status == Pending {
			return o.rejection(declined(f.Code), now)
		}
	}
	return nil
}

// afterEffect confirms once both effects are there; an effect that comes after a rejection is undone.
func (o *Order) afterEffect(fact Event, now time.Time) []Event {
	switch {
	case o.Status == Pending && o.Held && o.paid():
		return []Event{o.confirmation(now)}
	case o.Status == Rejected:
		if step := stepOf(fact); !o.undoing(step) {
			return []Event{UndoQueued{Step: step}}
		}
	}
	return nil
}

// stepOf is the step whose effect a fact tells.
func stepOf(fact Event) Step {
	switch fact.(type) {
	case Authorized:
		return StepPay
	case CreditHeld:
		return StepCredit
	}
	return StepHold
}

// Expire decides an order whose deadline has passed while it was undecided.
func (o *Order) Expire(now time.Time) []Event {
	if o.Status != Pending || now.Before(o.Deadline) {
		return nil
	}
	return o.rejection(Rejection{
		Code:    "payment_unresolved",
		Message: "the payment could not be settled in time; nothing will be charged, please order again",
	}, now)
}

// SkipUndo leaves an effect as it is, because an operator says so.
func (o *Order) SkipUndo(step Step) ([]Event, error) {
	if !o.undoing(step) {
		return nil, problem.Newf(problem.Conflict, "nothing_to_skip", "order %s has no %s to undo", o.ID, step)
	}
	return []Event{UndoSkipped{Step: step}}, nil
}

// rejection undoes in reverse: the payment first, then the hold. A refused step
// left nothing; an unheard one may have, so it is undone too: the room that finds
// nothing leaves a tombstone against the late command.
func (o *Order) rejection(why Rejection, now time.Time) []Event {
	var undo []Step
	cut := why.Code == "payment_unresolved" || why.Code == RejectCanceled // while a step may be under way
	if o.Payment == PaymentUnknown || o.Payment == PaymentAuthorized || cut && o.ToPay() > 0 ||
		o.Payment == PaymentDeclined && o.IntentID == "" {
		undo = append(undo, StepPay)
	}
	if o.CreditHeld || cut && o.Credit > 0 {
		undo = append(undo, StepCredit)
	}
	if why.Code != "sold_out" {
		undo = append(undo, StepHold)
	}
	return []Event{RejectedEvent{Rejection: why, CartID: o.CartID, Undo: undo, At: now}}
}

func (o *Order) confirmation(now time.Time) ConfirmedEvent {
	return ConfirmedEvent{
		At: now, CartID: o.CartID, SubjectID: o.SubjectID, AddressID: o.AddressID, Channel: o.Channel,
		Currency: o.Currency, Total: o.Totals.Total, Items: Items(o.Lines), SoldAt: o.SoldAt,
	}
}

// Items is what lines come to, without their prices.
func Items(lines []Line) []Item {
	items := make([]Item, len(lines))
	for i, l := range lines {
		items[i] = Item{Line: int32(i) + 1, SKU: l.SKU, Quantity: l.Quantity}
	}
	return items
}

func soldOut(lines []Short) Rejection {
	return Rejection{Code: "sold_out", Message: "not everything in the cart is left", Lines: lines}
}

func noCredit() Rejection {
	return Rejection{Code: "insufficient_credit", Message: "the wallet does not cover the store credit that the order uses"}
}

func declined(code string) Rejection {
	return Rejection{Code: "payment_declined", Message: "the payment was declined; order again with another means of payment", Detail: code}
}
