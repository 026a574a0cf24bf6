package order

import (
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// RequestCapture decides to take money before dispatch asks for it; an amount of 0 is all that was not asked for yet.
// It loses to a cancellation that was decided first.
func (o *Order) RequestCapture(amount int64) ([]Event, error) {
	rest := o.worth() - o.asked()
	if amount == 0 {
		amount = rest
	}
	switch {
	case o.Status == Canceling || o.Status == Canceled:
		return nil, problem.Newf(problem.Conflict, "order_canceled", "order %s was canceled: no money can be taken for it", o.ID)
	case o.Status != Confirmed:
		return nil, problem.Newf(problem.Conflict, "order_not_confirmed", "order %s is %s: money is taken for confirmed orders only", o.ID, o.Status)
	case rest <= 0 || o.LetGo || o.Complete() && o.asked() >= o.earned():
		return nil, problem.Newf(problem.Conflict, "nothing_to_capture", "all of order %s was taken or asked for", o.ID)
	case len(o.Captures) >= MoneyMax:
		return nil, problem.Newf(problem.Unprocessable, "too_many_captures", "an order has at most %d captures", MoneyMax)
	case amount < 0 || amount > rest:
		return nil, problem.Field("amount", "out_of_range", "at most what was not asked for yet: "+strconv.FormatInt(rest, 10)+" minor units")
	case amount < rest && !o.MultiCapture && o.Credit < o.Totals.Total:
		return nil, problem.Field("amount", "one_capture_only", "the provider takes this payment once: capture all of it")
	}
	return []Event{CaptureRequested{ID: o.captureID(), Amount: amount, Final: amount == rest}}, nil
}

// Due tells that goods have left and their money could not be taken.
func (o *Order) Due() bool { return o.Failing() && o.FulfilmentState() != "none" }

// Failing tells a capture that failed and is tried again.
func (o *Order) Failing() bool {
	for i := range o.Captures {
		if o.Captures[i].State == MoneyFailed {
			return true
		}
	}
	return false
}

// RequestRefund decides to give money back without a return.
func (o *Order) RequestRefund(amount int64, reason string, now time.Time) ([]Event, error) {
	switch left := o.Refundable(); {
	case o.Status == Absent:
		return nil, problem.New(problem.NotFound, "order_not_found", "there is no such order")
	case amount <= 0:
		return nil, problem.Field("amount", "out_of_range", "must be more than nothing")
	case amount > left:
		return nil, problem.Newf(problem.Conflict, "not_refundable", "%d minor units of order %s can be given back, not %d", left, o.ID, amount).
			With("refundable_minor", strconv.FormatInt(left, 10))
	case len(o.Refunds) >= MoneyMax:
		return nil, problem.Newf(problem.Unprocessable, "too_many_refunds", "an order has at most %d refunds", MoneyMax)
	}
	return []Event{RefundRequested{ID: o.refundID(), Amount: amount, Reason: reason, At: now}}, nil
}

// PaymentState is what people read of an order's money: what is known of the payment, then how it was taken and given back.
func (o *Order) PaymentState() string {
	taken, back := o.Taken(), o.GivenBack()
	switch {
	case o.Due():
		return "payment_due"
	case back > 0 && back >= taken:
		return "refunded"
	case back > 0:
		return "partly_refunded"
	case taken > 0 && (taken >= o.Totals.Total || o.Complete() && taken >= o.earned()):
		return "captured"
	case taken > 0:
		return "partly_captured"
	case o.Payment == PaymentNone && o.CreditHeld && o.Credit == o.Totals.Total:
		return string(PaymentAuthorized)
	}
	return string(o.Payment)
}

// FulfilmentState is what people read of an order's goods.
func (o *Order) FulfilmentState() string {
	var left, back int32
	for i := range o.Parts {
		left += o.Parts[i].Dispatched
		back += o.Parts[i].Returned
	}
	switch {
	case left == 0:
		return "none"
	case back > 0 && back >= left && o.Complete():
		return "returned"
	case back > 0:
		return "partly_returned"
	case o.Complete():
		return "dispatched"
	}
	return "partly_dispatched"
}

// Unsettled tells that something of the order is still under way: its decision, an undoing, or money.
func (o *Order) Unsettled() bool {
	if o.Status == Pending || o.Status == Canceling || len(o.Undo) > 0 {
		return true
	}
	for i := range o.Captures {
		if s := o.Captures[i].State; s == MoneyPending || s == MoneyFailed {
			return true
		}
	}
	for i := range o.Refunds {
		if s := o.Refunds[i].State; s == MoneyPending || s == MoneyFailed {
			return true
		}
	}
	return false
}
