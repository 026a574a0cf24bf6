package order

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// Bounds of what can happen to one order, so that its stream stays short.
const (
	ReturnsMax = 100 // returns of one order
	MoneyMax   = 100 // captures, and refunds, of one order
)

// MoneyState is where a capture or a refund stands.
type MoneyState string

// The states of captures and refunds.
const (
	MoneyPending MoneyState = "pending" // asked for, or its outcome not known yet
	MoneyDone    MoneyState = "done"
	MoneyFailed  MoneyState = "failed"  // tried again
	MoneyDropped MoneyState = "dropped" // not tried any more: not wanted, or an operator says so
)

// Capture is one taking of money.
type Capture struct {
	ID     string     `json:"id"`
	Amount int64      `json:"amount"`
	Final  bool       `json:"final,omitempty"`
	State  MoneyState `json:"state"`
	Code   string     `json:"code,omitempty"` // why it failed
}

// Refund is one giving back.
type Refund struct {
	ID       string     `json:"id"`
	Amount   int64      `json:"amount"`
	Unearned bool       `json:"unearned,omitempty"` // taken for pieces that never left
	ReturnID string     `json:"return_id,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	State    MoneyState `json:"state"`
	Code     string     `json:"code,omitempty"`
	At       time.Time  `json:"at"`
}

// Taken is what was captured so far.
func (o *Order) Taken() (sum int64) {
	for i := range o.Captures {
		if o.Captures[i].State == MoneyDone {
			sum += o.Captures[i].Amount
		}
	}
	return sum
}

// asked is what was captured or is still to be.
func (o *Order) asked() (sum int64) {
	for i := range o.Captures {
		if o.Captures[i].State != MoneyDropped {
			sum += o.Captures[i].Amount
		}
	}
	return sum
}

// GivenBack is what was refunded so far.
func (o *Order) GivenBack() (sum int64) {
	for i := range o.Refunds {
		if o.Refunds[i].State == MoneyDone {
			sum += o.Refunds[i].Amount
		}
	}
	return sum
}

// promised is what was refunded or is still to be.
func (o *Order) promised() (sum int64) {
	for i := range o.Refunds {
		if o.Refunds[i].State != MoneyDropped {
			sum += o.Refunds[i].Amount
		}
	}
	return sum
}

// unearned is what of that was taken for pieces that never left.
func (o *Order) unearned() (sum int64) {
	for i := range o.Refunds {
		if o.Refunds[i].Unearned && o.Refunds[i].State != MoneyDropped {
			sum += o.Refunds[i].Amount
		}
	}
	return sum
}

// Refundable is what can be given back of what was taken: captured less what is done, pending and unknown.
func (o *Order) Refundable() int64 { return max(0, o.Taken()-o.promised()) }

// Share is what so many pieces of a line come to: the line's total by largest remainder over its pieces, the earlier
// pieces bearing the odd minor units. The shares of all pieces are the line's total.
func (l *Line) Share(pieces int32) int64 {
	each, odd := l.Total/int64(l.Quantity), l.Total%int64(l.Quantity)
	return each*int64(pieces) + min(odd, int64(pieces))
}

// earned is what the dispatched pieces come to, shipping included.
func (o *Order) earned() (sum int64) {
	any := false
	for i := range o.Lines {
		if n := o.part(i).Dispatched; n > 0 {
			any = true
			sum += o.Lines[i].Share(min(n, o.Lines[i].Quantity))
		}
	}
	if any {
		sum += o.shippingTotal()
	}
	return sum
}

// worth is what the order can come to at most: its pieces that were not canceled, shipping included.
func (o *Order) worth() (sum int64) {
	kept := false
	for i := range o.Lines {
		if n := o.Lines[i].Quantity - o.part(i).Canceled; n > 0 {
			kept = true
			sum += o.Lines[i].Share(n)
		}
	}
	if kept {
		sum += o.shippingTotal()
	}
	return sum
}

func (o *Order) shippingTotal() int64 {
	if o.Totals.TaxInclusive {
		return o.Shipping.Price
	}
	return o.Shipping.Price + o.Shipping.Tax
}

// settle asks for the money that dispatched pieces have earned: with each parcel where the provider can capture in
// parts, else once nothing more will leave. What was taken beyond it is given back then.
func (o *Order) settle(now time.Time) []Event {
	if o.LetGo {
		return nil
	}
	if !o.Complete() {
		if due := o.earned() - o.asked(); due > 0 && o.MultiCapture {
			return []Event{CaptureRequested{ID: o.captureID(), Amount: due}}
		}
		return nil
	}
	dropped, next := o.dropSurplus()
	if due := next.earned() - next.asked(); due > 0 {
		return append(dropped, CaptureRequested{ID: next.captureID(), Amount: due, Final: true})
	}
	return append(append(dropped, next.giveBack(now)...), next.letGo()...)
}

// dropSurplus gives up captures that have failed and ask for more than is still to be taken; next is the order after that.
func (o *Order) dropSurplus() (dropped []Event, next Order) {
	next = *o
	for i := range o.Captures {
		c := &o.Captures[i]
		if needed := next.earned() - (next.asked() - c.Amount); c.State == MoneyFailed && needed < c.Amount {
			dropped = append(dropped, CaptureDropped{ID: c.ID})
			next.setCapture(Capture{ID: c.ID}, MoneyDropped, c.Code)
		}
	}
	return dropped, next
}

// giveBack is the refund of what was taken and not earned.
func (o *Order) giveBack(now time.Time) []Event {
	over := min(o.Taken()-o.earned()-o.unearned(), o.Refundable())
	if over <= 0 {
		return nil
	}
	return []Event{RefundRequested{ID: o.refundID(), Amount: over, Unearned: true, Reason: "canceled", At: now}}
}

// letGo releases what is held beyond what will be taken, when no final capture does so.
func (o *Order) letGo() (queued []Event) {
	if last := len(o.Captures) - 1; o.asked() == o.Totals.Total || last >= 0 && o.Captures[last].Final && o.Captures[last].State != MoneyDropped {
		return nil
	}
	for _, step := range o.heldMoney() {
		queued = append(queued, UndoQueued{Step: step})
	}
	return queued
}

// heldMoney are the steps whose money is held and not queued to be let go.
func (o *Order) heldMoney() (steps []Step) {
	if o.Payment == PaymentAuthorized && !o.undoing(StepPay) {
		steps = append(steps, StepPay)
	}
	if o.CreditHeld && !o.undoing(StepCredit) {
		steps = append(steps, StepCredit)
	}
	return steps
}

// captureID is the id of the next capture: given twice it is the same, so that a decision taken again asks once.
func (o *Order) captureID() string { return o.derived("cap_", len(o.Captures)+1) }

func (o *Order) refundID() string { return o.derived("rfd_", len(o.Refunds)+1) }

func (o *Order) derived(prefix string, n int) string {
	return prefix + strings.TrimPrefix(o.ID, "ord_") + "." + strconv.Itoa(n)
}

// Part is how much of a line has left, will not, and came back.
type Part struct {
	Dispatched int32 `json:"dispatched,omitempty"`
	Canceled   int32 `json:"canceled,omitempty"`
	Returning  int32 `json:"returning,omitempty"` // announced
	Returned   int32 `json:"returned,omitempty"`
}

// part is that of the line at i.
func (o *Order) part(i int) Part {
	if i < len(o.Parts) {
		return o.Parts[i]
	}
	return Part{}
}

// Complete tells that nothing more of the order will leave.
func (o *Order) Complete() bool {
	for i := range o.Lines {
		if p := o.part(i); p.Dispatched+p.Canceled < o.Lines[i].Quantity {
			return false
		}
	}
	return true
}

// gone tells that everything has left.
func (o *Order) gone() bool {
	for i := range o.Lines {
		if o.part(i).Dispatched < o.Lines[i].Quantity {
			return false
		}
	}
	return true
}

// DueUndo is the first effect that is to be undone now; money is not let go while some of it is still to be taken.
func (o *Order) DueUndo() (step Step, ok bool) {
	taking := o.DueCapture() != nil
	for _, step := range o.Undo {
		if step == StepHold || !taking {
			return step, true
		}
	}
	return "", false
}

// DueRefund is the first refund that is to be made and whose money was taken, one that has failed before only when no
// other is due; nil when there is none.
func (o *Order) DueRefund() (due *Refund) {
	funds := o.Taken() - o.GivenBack()
	for i := range o.Refunds {
		switch r := &o.Refunds[i]; {
		case r.Amount > funds:
		case r.State == MoneyPending:
			return r
		case r.State == MoneyFailed && due == nil:
			due = r
		}
	}
	return due
}

// DueCapture is the first capture that is to be made, one that has failed before only when no other is due; nil when
// there is none.
func (o *Order) DueCapture() (due *Capture) {
	for i := range o.Captures {
		switch c := &o.Captures[i]; {
		case c.State == MoneyPending:
			return c
		case c.State == MoneyFailed && due == nil:
			due = c
		}
	}
	return due
}

// Drop leaves money as it is, because an operator says so: a capture or a refund that is not done. With a capture go the
// refunds that only its money could have paid.
func (o *Order) Drop(id string) ([]Event, error) {
	if s := o.Capture(id).State; s == MoneyPending || s == MoneyFailed {
		next := *o
		next.setCapture(Capture{ID: id}, MoneyDropped, "")
		return append([]Event{CaptureDropped{ID: id}}, next.unfunded()...), nil
	}
	if s := o.Refund(id).State; s == MoneyPending || s == MoneyFailed {
		return []Event{RefundDropped{ID: id}}, nil
	}
	return nil, problem.Newf(problem.Conflict, "nothing_to_skip", "order %s has no capture or refund %s to be made", o.ID, id)
}

// unfunded gives up the newest refunds for which no money was or will be taken.
func (o *Order) unfunded() (dropped []Event) {
	beyond := o.promised() - o.asked()
	for i := len(o.Refunds) - 1; i >= 0 && beyond > 0; i-- {
		if r := &o.Refunds[i]; r.State == MoneyPending || r.State == MoneyFailed {
			beyond -= r.Amount
			dropped = append(dropped, RefundDropped{ID: r.ID})
		}
	}
	return dropped
}
