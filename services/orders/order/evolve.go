package order

import (
	"fmt"
	"slices"
)

// Evolve takes an event into the state. It refuses what it does not know.
func (o *Order) Evolve(e Event) error {
	switch e := e.(type) {
	case Placed:
		*o = Order{Placed: e, Status: Pending, Payment: PaymentNone}
	case StockHeld:
		o.Held = true
	case StockRefused:
		o.Held = false
	case CreditHeld:
		o.CreditHeld = true
	case CreditRefused:
		o.CreditHeld = false
	case Authorized:
		o.Payment, o.IntentID, o.MultiCapture = PaymentAuthorized, e.IntentID, e.MultiCapture
	case Declined:
		o.Payment, o.IntentID = PaymentDeclined, e.IntentID
	case Unknown:
		o.Payment, o.IntentID = PaymentUnknown, e.IntentID
	case ConfirmedEvent:
		o.Status, o.DecidedAt = Confirmed, e.At
	case RejectedEvent:
		o.reject(e)
	case UndoQueued:
		o.Undo = append(slices.Clip(o.Undo), e.Step)
	case Undone:
		o.undone(e.Step, e.Outcome)
	case UndoSkipped:
		o.Undo = without(o.Undo, e.Step)
		o.Rejection.Skipped = append(slices.Clip(o.Rejection.Skipped), string(e.Step))
	default:
		if !o.evolveAfterSale(e) {
			return fmt.Errorf("evolve order %s: event %T is not known to this release", o.ID, e)
		}
	}
	o.Version++
	return nil
}

// evolveAfterSale takes what comes after the confirmation; false for an event that it does not know. Slices are copied
// before they change, because orders are values.
func (o *Order) evolveAfterSale(e Event) bool {
	switch e := e.(type) {
	case CancelRequested:
		o.Status, o.Cancellation = Canceling, Cancellation{Code: CancelWanted, Reason: e.Reason}
	case CanceledEvent:
		o.cancel(e)
	case CancelRefused:
		o.Status, o.Cancellation.Code = Confirmed, e.Code
	case Dispatched:
		o.Parcels = append(slices.Clip(o.Parcels), e.ParcelID)
		o.eachPart(e.Pieces, func(p *Part, n int32) { p.Dispatched += n })
	case ReturnOpened:
		o.Returns = append(slices.Clip(o.Returns), Return{
			ID: e.ID, State: ReturnIsOpen, Lines: e.Lines, Refund: refundOf(e.Lines), Reason: e.Reason, Reference: e.Reference, OpenedAt: e.At,
		})
		o.eachPart(pieces(e.Lines), func(p *Part, n int32) { p.Returning += n })
	case ReturnReceived:
		o.receive(e)
	case ReturnClosed:
		o.closeReturn(e)
	default:
		return o.evolveMoney(e)
	}
	return true
}

// evolveMoney takes what happens to captures and refunds.
func (o *Order) evolveMoney(e Event) bool {
	switch e := e.(type) {
	case CaptureRequested:
		o.Captures = append(slices.Clip(o.Captures), Capture{ID: e.ID, Amount: e.Amount, Final: e.Final, State: MoneyPending})
	case Captured:
		o.setCapture(Capture{ID: e.ID, Amount: e.Amount}, MoneyDone, "")
	case CaptureFailed:
		o.setCapture(Capture{ID: e.ID, Amount: e.Amount}, MoneyFailed, e.Code)
	case CaptureDropped:
		o.setCapture(Capture{ID: e.ID}, MoneyDropped, o.Capture(e.ID).Code)
	case RefundRequested:
		o.Refunds = append(slices.Clip(o.Refunds), Refund{
			ID: e.ID, Amount: e.Amount, Unearned: e.Unearned, ReturnID: e.ReturnID, Reason: e.Reason, State: MoneyPending, At: e.At,
		})
	case Refunded:
		o.setRefund(Refund{ID: e.ID, Amount: e.Amount}, MoneyDone, "")
	case RefundFailed:
		o.setRefund(Refund{ID: e.ID}, MoneyFailed, e.Code)
	case RefundDropped:
		o.setRefund(Refund{ID: e.ID}, MoneyDropped, o.Refund(e.ID).Code)
	default:
		return false
	}
	return true
}

// cancel takes a cancellation; money that nobody has taken yet is not wanted any more when the whole order goes.
func (o *Order) cancel(e CanceledEvent) {
	o.Status, o.Cancellation.Code = Confirmed, CancelGranted
	if e.Whole {
		o.Status = Canceled
		o.Captures = slices.Clone(o.Captures)
		for i := range o.Captures {
			if o.Captures[i].State != MoneyDone {
				o.Captures[i].State = MoneyDropped
			}
		}
	}
	gone := make([]Piece, len(e.Items))
	for i, item := range e.Items {
		gone[i] = Piece{Line: item.Line, Quantity: item.Quantity}
	}
	o.eachPart(gone, func(p *Part, n int32) { p.Canceled += n })
	for _, step := range e.Undo {
		if !o.undoing(step) {
			o.Undo = append(slices.Clip(o.Undo), step)
		}
	}
}

// eachPart changes the parts of lines; a piece of no line of the order changes nothing.
func (o *Order) eachPart(pieces []Piece, change func(p *Part, n int32)) {
	parts := make([]Part, len(o.Lines))
	copy(parts, o.Parts)
	for _, p := range pieces {
		if i := int(p.Line) - 1; i >= 0 && i < len(parts) {
			change(&parts[i], p.Quantity)
		}
	}
	o.Parts = parts
}

func (o *Order) receive(e ReturnReceived) {
	o.Returns = slices.Clone(o.Returns)
	r := o.Return(e.ID)
	if r == nil {
		return
	}
	o.eachPart(pieces(r.Lines), func(p *Part, n int32) { p.Returning -= n })
	o.eachPart(pieces(e.Lines), func(p *Part, n int32) { p.Returned += n })
	r.State, r.Lines, r.Refund, r.ReceivedAt = ReturnIsReceived, e.Lines, e.Refund, e.At
}

func (o *Order) closeReturn(e ReturnClosed) {
	o.Returns = slices.Clone(o.Returns)
	r := o.Return(e.ID)
	if r == nil {
		return
	}
	o.eachPart(pieces(r.Lines), func(p *Part, n int32) { p.Returning -= n })
	r.State = ReturnIsClosed
	if e.Reason != "" {
		r.Reason = e.Reason
	}
}

func pieces(lines []ReturnedLine) []Piece {
	out := make([]Piece, len(lines))
	for i, l := range lines {
		out[i] = Piece{Line: l.Line, Quantity: l.Quantity}
	}
	return out
}

func refundOf(lines []ReturnedLine) (sum int64) {
	for _, l := range lines {
		sum += l.Refund
	}
	return sum
}

// setCapture brings a capture to a state; one that nobody asked for is a fact all the same.
func (o *Order) setCapture(c Capture, state MoneyState, code string) {
	o.Captures = slices.Clone(o.Captures)
	for i := range o.Captures {
		if o.Captures[i].ID == c.ID {
			o.Captures[i].State, o.Captures[i].Code = state, code
			return
		}
	}
	c.State, c.Code = state, code
	o.Captures = append(o.Captures, c)
}

func (o *Order) setRefund(r Refund, state MoneyState, code string) {
	o.Refunds = slices.Clone(o.Refunds)
	for i := range o.Refunds {
		if o.Refunds[i].ID == r.ID {
			o.Refunds[i].State, o.Refunds[i].Code = state, code
			return
		}
	}
	r.State, r.Code = state, code
	o.Refunds = append(o.Refunds, r)
}

// Capture finds a capture; the zero one when there is none.
func (o *Order) Capture(captureID string) Capture {
	for _, c := range o.Captures {
		if c.ID == captureID {
			return c
		}
	}
	return Capture{}
}

// Refund finds a refund; the zero one when there is none.
func (o *Order) Refund(refundID string) Refund {
	for _, r := range o.Refunds {
		if r.ID == refundID {
			return r
		}
	}
	return Refund{}
}

func (o *Order) reject(e RejectedEvent) {
	o.Status, o.DecidedAt = Rejected, e.At
	o.Rejection = e.Rejection
	o.Undo = slices.Clone(e.Undo)
}

func (o *Order) undone(step Step, outcome string) {
	o.Undo = without(o.Undo, step)
	o.LetGo = o.LetGo || step == StepPay || step == StepCredit && o.ToPay() == 0
	switch {
	case step == StepHold:
		o.Held = false
	case step == StepCredit:
		o.CreditHeld = false
	case outcome == "captured":
	case outcome == "voided":
		o.Payment = PaymentVoided
	case o.Payment == PaymentUnknown || o.Payment == PaymentAuthorized:
		o.Payment = PaymentNone
	}
}

func without(steps []Step, gone Step) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s == gone })
}
