package order

import (
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// ReturnState is where a return stands.
type ReturnState string

// The states of a return.
const (
	ReturnIsOpen     ReturnState = "open" // announced
	ReturnIsReceived ReturnState = "received"
	ReturnIsClosed   ReturnState = "closed" // given up
)

// Return is what comes or came back.
type Return struct {
	ID         string         `json:"id"`
	State      ReturnState    `json:"state"`
	Lines      []ReturnedLine `json:"lines"`
	Refund     int64          `json:"refund"` // what is or will be given back
	Reason     string         `json:"reason,omitempty"`
	Reference  string         `json:"reference,omitempty"`
	OpenedAt   time.Time      `json:"opened_at"`
	ReceivedAt time.Time      `json:"received_at"`
}

// Opening announces what comes back; no lines mean all that can.
type Opening struct {
	ID, Reason, Reference string
	Lines                 []ReturnedLine
	At                    time.Time
}

// OpenReturn decides that pieces may come back: returnable = dispatched − announced − returned, by line.
func (o *Order) OpenReturn(r Opening) ([]Event, error) {
	if o.Status == Absent {
		return nil, problem.New(problem.NotFound, "order_not_found", "there is no such order")
	}
	if len(o.Returns) >= ReturnsMax {
		return nil, problem.Newf(problem.Unprocessable, "too_many_returns", "an order has at most %d returns", ReturnsMax)
	}
	lines, err := o.returning(r.Lines)
	if err != nil {
		return nil, err
	}
	e := ReturnOpened{ID: r.ID, Lines: lines, Reason: r.Reason, Reference: r.Reference, At: r.At}
	o.price(e.Lines)
	return []Event{e}, nil
}

// returning is the lines that come back, each checked against what can.
func (o *Order) returning(asked []ReturnedLine) (lines []ReturnedLine, err error) {
	if len(asked) == 0 {
		for i := range o.Lines {
			if n := o.returnable(i); n > 0 {
				lines = append(lines, ReturnedLine{Line: int32(i) + 1, SKU: o.Lines[i].SKU, Quantity: n})
			}
		}
		if len(lines) == 0 {
			return nil, problem.Newf(problem.Conflict, "not_returnable", "nothing of order %s can come back: it has not been dispatched, or did already", o.ID)
		}
		return lines, nil
	}
	var refusal *problem.Error
	wanted := make(map[int32]int32, len(asked))
	for k, l := range asked {
		i := int(l.Line) - 1
		if i < 0 || i >= len(o.Lines) || l.Quantity < 1 {
			return nil, problem.Field("lines["+strconv.Itoa(k)+"]", "out_of_range", "name a line of the order and at least one piece")
		}
		wanted[l.Line] += l.Quantity
		if left := o.returnable(i); wanted[l.Line] > left {
			refusal = refuseReturn(refusal, o.ID, l.Line, left)
		}
		l.SKU, l.Refund = o.Lines[i].SKU, 0
		lines = append(lines, l)
	}
	if refusal != nil {
		return nil, refusal
	}
	return lines, nil
}

func refuseReturn(refusal *problem.Error, orderID string, line, left int32) *problem.Error {
	if refusal == nil {
		refusal = problem.Newf(problem.Conflict, "not_returnable", "more of order %s would come back than has left", orderID)
	}
	return refusal.On(strconv.Itoa(int(line)), "not_returnable", strconv.Itoa(int(left))+" pieces of this line can come back")
}

func (o *Order) returnable(i int) int32 {
	p := o.part(i)
	return max(0, min(p.Dispatched, o.Lines[i].Quantity)-p.Returning-p.Returned)
}

// price gives each line its share: that of the pieces which follow those that came back before.
func (o *Order) price(lines []ReturnedLine) (sum int64) {
	before := make(map[int32]int32, len(lines))
	for k := range lines {
		l := &lines[k]
		line := &o.Lines[l.Line-1]
		from := o.part(int(l.Line)-1).Returned + before[l.Line]
		l.Refund = line.Share(from+l.Quantity) - line.Share(from)
		before[l.Line] += l.Quantity
		sum += l.Refund
	}
	return sum
}

// Receipt says what came of a return.
type Receipt struct {
	ID     string
	Lines  []ReturnedLine // none: what was announced
	Refund *int64         // in place of the lines' share, at most that
	At     time.Time      // when it came
	Now    time.Time
}

// ReceiveReturn decides that pieces came back, and what is given back for them. A return that was received gives nothing more.
func (o *Order) ReceiveReturn(r Receipt) ([]Event, error) {
	ret := o.Return(r.ID)
	switch {
	case ret == nil:
		return nil, problem.Newf(problem.NotFound, "return_not_found", "order %s has no return %s", o.ID, r.ID)
	case ret.State == ReturnIsReceived:
		return nil, nil
	case ret.State == ReturnIsClosed:
		return nil, problem.Newf(problem.Conflict, "return_closed", "return %s was given up", r.ID)
	}
	lines, err := received(ret, r.Lines)
	if err != nil {
		return nil, err
	}
	share := o.price(lines)
	amount := min(share, o.owing())
	if r.Refund != nil {
		if *r.Refund < 0 || *r.Refund > share {
			return nil, problem.Newf(problem.Unprocessable, "refund_above_share", "the pieces were sold for %d minor units: no more than that can be given back for them", share).
				On("refund", "out_of_range", "at most the share of the pieces")
		}
		amount = min(*r.Refund, amount)
	}
	events := []Event{ReturnReceived{ID: r.ID, SubjectID: o.SubjectID, Lines: lines, Refund: amount, At: r.At}}
	if amount > 0 {
		events = append(events, RefundRequested{ID: o.refundID(), Amount: amount, ReturnID: r.ID, Reason: "returned", At: r.Now})
	}
	return events, nil
}

// owing is what may be given back for pieces: what was or will be taken, less what is given back already.
// Once nothing more will leave, all that is to be taken has been asked for.
func (o *Order) owing() int64 {
	taking := o.asked()
	if !o.Complete() && !o.LetGo {
		taking = max(taking, o.earned())
	}
	return max(0, taking-o.promised())
}

// received is what came of what was announced.
func received(ret *Return, came []ReturnedLine) (lines []ReturnedLine, err error) {
	if len(came) == 0 {
		return append(lines, ret.Lines...), nil
	}
	left := make(map[int32]int32, len(ret.Lines))
	sku := make(map[int32]string, len(ret.Lines))
	for _, l := range ret.Lines {
		left[l.Line] += l.Quantity
		sku[l.Line] = l.SKU
	}
	for k, l := range came {
		if left[l.Line] -= l.Quantity; l.Quantity < 1 || left[l.Line] < 0 {
			return nil, problem.Field("lines["+strconv.Itoa(k)+"]", "out_of_range", "more came than was announced: open another return for it")
		}
		l.SKU = sku[l.Line]
		lines = append(lines, l)
	}
	return lines, nil
}

// CloseReturn gives an announced return up. One that was closed gives nothing more.
func (o *Order) CloseReturn(returnID, reason string, now time.Time) ([]Event, error) {
	ret := o.Return(returnID)
	switch {
	case ret == nil:
		return nil, problem.Newf(problem.NotFound, "return_not_found", "order %s has no return %s", o.ID, returnID)
	case ret.State == ReturnIsClosed:
		return nil, nil
	case ret.State == ReturnIsReceived:
		return nil, problem.Newf(problem.Conflict, "return_received", "return %s was received already", returnID)
	}
	return []Event{ReturnClosed{ID: returnID, Reason: reason, At: now}}, nil
}

// Return finds a return; nil when there is none.
func (o *Order) Return(returnID string) *Return {
	for i := range o.Returns {
		if o.Returns[i].ID == returnID {
			return &o.Returns[i]
		}
	}
	return nil
}
