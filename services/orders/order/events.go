package order

import (
	"fmt"
	"slices"
	"time"
)

// Event is something that happened to an order.
type Event interface{ event() }

// Placed begins an order; all amounts are frozen here.
type Placed struct {
	ID          string            `json:"id"`
	CartID      string            `json:"cart_id"`
	CartVersion int32             `json:"cart_version"`
	SubjectID   string            `json:"subject_id"`
	AddressID   string            `json:"address_id"`
	Country     string            `json:"country"`
	Channel     string            `json:"channel"`
	Currency    string            `json:"currency"`
	Lines       []Line            `json:"lines"`
	Shipping    Shipping          `json:"shipping"`
	Totals      Totals            `json:"totals"`
	Provider    string            `json:"provider"`
	SagaVersion int               `json:"saga_version"`
	Deadline    time.Time         `json:"deadline"`
	PlacedAt    time.Time         `json:"placed_at"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// StockHeld is the fact that inventory holds all lines.
type StockHeld struct {
	Attempt int `json:"attempt"`
}

// StockRefused is the fact that inventory cannot hold all lines.
type StockRefused struct {
	Lines []Short `json:"lines"`
}

// Authorized is the fact that the provider holds the money for us.
type Authorized struct {
	IntentID string `json:"intent_id"`
	Attempt  int    `json:"attempt"`
}

// Declined is the fact that the provider refused.
type Declined struct {
	IntentID string `json:"intent_id"`
	Attempt  int    `json:"attempt"`
	Code     string `json:"code"`
}

// Unknown is the fact that the provider did not answer in time.
type Unknown struct {
	IntentID string `json:"intent_id"`
	Attempt  int    `json:"attempt"`
}

// ConfirmedEvent is the decision that the order stands. It repeats what others need
// to act on it, so that its public event is a function of this record alone.
type ConfirmedEvent struct {
	At        time.Time `json:"at"`
	CartID    string    `json:"cart_id"`
	SubjectID string    `json:"subject_id"`
	AddressID string    `json:"address_id"`
	Channel   string    `json:"channel"`
	Currency  string    `json:"currency"`
	Total     int64     `json:"total"`
	Items     []Item    `json:"items"`
}

// Item is pieces of one SKU.
type Item struct {
	SKU      string `json:"sku"`
	Quantity int32  `json:"quantity"`
}

// RejectedEvent is the decision that the order will not be, with what is to be undone.
type RejectedEvent struct {
	Rejection
	CartID string    `json:"cart_id"`
	Undo   []Step    `json:"undo,omitempty"`
	At     time.Time `json:"at"`
}

// UndoQueued says that an effect which appeared after the decision is to be undone.
type UndoQueued struct {
	Step Step `json:"step"`
}

// Undone is the fact that an effect is gone: released, voided, or found never to have been.
type Undone struct {
	Step    Step   `json:"step"`
	Outcome string `json:"outcome"`
}

// UndoSkipped is an operator's decision to leave an effect as it is.
type UndoSkipped struct {
	Step Step `json:"step"`
}

func (Placed) event()         {}
func (StockHeld) event()      {}
func (StockRefused) event()   {}
func (Authorized) event()     {}
func (Declined) event()       {}
func (Unknown) event()        {}
func (ConfirmedEvent) event() {}
func (RejectedEvent) event()  {}
func (UndoQueued) event()     {}
func (Undone) event()         {}
func (UndoSkipped) event()    {}

// Evolve takes an event into the state. It refuses what it does not know.
func (o *Order) Evolve(e Event) error {
	switch e := e.(type) {
	case Placed:
		*o = Order{Placed: e, Status: Pending, Payment: PaymentNone}
	case StockHeld:
		o.Held = true
	case StockRefused:
		o.Held = false
	case Authorized:
		o.Payment, o.IntentID = PaymentAuthorized, e.IntentID
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
		return fmt.Errorf("evolve order %s: event %T is not known to this release", o.ID, e)
	}
	o.Version++
	return nil
}

func (o *Order) reject(e RejectedEvent) {
	o.Status, o.DecidedAt = Rejected, e.At
	o.Rejection = e.Rejection
	o.Undo = slices.Clone(e.Undo)
}

func (o *Order) undone(step Step, outcome string) {
	o.Undo = without(o.Undo, step)
	switch {
	case step == StepHold:
		o.Held = false
	case outcome == "voided":
		o.Payment = PaymentVoided
	case o.Payment == PaymentUnknown || o.Payment == PaymentAuthorized:
		o.Payment = PaymentNone
	}
}

func without(steps []Step, gone Step) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool { return s == gone })
}
