package order

import (
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// Cancellation is what became of the wish to call the order off.
type Cancellation struct {
	Code   string `json:"code,omitempty"` // "requested", "canceled" or "already_dispatched"
	Reason string `json:"reason,omitempty"`
}

// RejectCanceled is the code of an order that was called off before it was confirmed.
const RejectCanceled = "order_canceled"

// The codes of a cancellation.
const (
	CancelWanted  = "requested"
	CancelGranted = "canceled"
	CancelTooLate = "already_dispatched"
)

// Cancel decides to call the order off. An order that is not decided yet is rejected; of a confirmed one shipping is
// asked first what can still be stopped. One that was canceled gives nothing more.
func (o *Order) Cancel(reason string, now time.Time) ([]Event, error) {
	switch o.Status {
	case Pending:
		return o.rejection(Rejection{Code: RejectCanceled, Message: "the order was canceled before it was confirmed"}, now), nil
	case Rejected:
		if o.Rejection.Code == RejectCanceled {
			return nil, nil
		}
		return nil, problem.Newf(problem.Conflict, "order_rejected", "order %s was rejected: there is nothing to cancel", o.ID)
	case Canceling, Canceled:
		return nil, nil
	case Confirmed:
		return o.cancelConfirmed(reason, now)
	}
	return nil, problem.New(problem.NotFound, "order_not_found", "there is no such order")
}

func (o *Order) cancelConfirmed(reason string, now time.Time) ([]Event, error) {
	switch {
	case o.Cancellation.Code == CancelGranted:
		return nil, nil // the rest was canceled before
	case o.gone(), o.Cancellation.Code == CancelTooLate:
		return nil, tooLate(o.ID)
	}
	return []Event{CancelRequested{Reason: reason, At: now}}, nil
}

func tooLate(orderID string) error {
	return problem.Newf(problem.Conflict, CancelTooLate, "everything of order %s has left: open a return instead", orderID)
}

// Stopped takes shipping's answer to a cancellation: what had left before is given, all else never will.
func (o *Order) Stopped(left []Piece, now time.Time) []Event {
	if o.Status != Canceling {
		return nil
	}
	gone := make([]int32, len(o.Lines))
	for _, p := range left {
		if i := int(p.Line) - 1; i >= 0 && i < len(gone) {
			gone[i] += p.Quantity
		}
	}
	e := CanceledEvent{CartID: o.CartID, SubjectID: o.SubjectID, Whole: true, At: now}
	for i := range o.Lines {
		if gone[i] > 0 {
			e.Whole = false
		}
		if rest := o.Lines[i].Quantity - gone[i]; rest > 0 {
			e.Items = append(e.Items, Item{Line: int32(i) + 1, SKU: o.Lines[i].SKU, Quantity: rest})
		}
	}
	if len(e.Items) == 0 {
		return []Event{CancelRefused{Code: CancelTooLate, At: now}}
	}
	e.Undo = []Step{StepHold}
	if e.Whole {
		e.Undo = append(o.heldMoney(), StepHold)
	}
	return o.afterCancel(e, now)
}

// afterCancel settles the money as soon as the last piece that left has been heard of.
func (o *Order) afterCancel(e CanceledEvent, now time.Time) []Event {
	next := *o
	next.cancel(e)
	if e.Whole {
		return append([]Event{e}, next.giveBack(now)...)
	}
	return append([]Event{e}, next.settle(now)...)
}

// CanceledItems is what will not be delivered, by line.
func (o *Order) CanceledItems() (items []Item) {
	for i := range o.Parts {
		if n := o.Parts[i].Canceled; n > 0 {
			items = append(items, Item{Line: int32(i) + 1, SKU: o.Lines[i].SKU, Quantity: n})
		}
	}
	return items
}
