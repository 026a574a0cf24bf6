package order

import "time"

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
	SoldAt      time.Time         `json:"sold_at"`                // when the sale was made, by which views count it
	Credit      int64             `json:"credit,omitempty"`       // of the total, store credit
	Reference   string            `json:"reference,omitempty"`    // the merchant's own number of it
	PriceReason string            `json:"price_reason,omitempty"` // why the desk set prices of its own
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

// CreditHeld is the fact that the store credit which the order uses is set aside.
type CreditHeld struct{}

// CreditRefused is the fact that the wallet does not cover the store credit.
type CreditRefused struct {
	Code string `json:"code"`
}

// Authorized is the fact that the provider holds the money for us.
type Authorized struct {
	IntentID     string `json:"intent_id"`
	Attempt      int    `json:"attempt"`
	MultiCapture bool   `json:"multi_capture,omitempty"` // it can be taken in parts
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
	SoldAt    time.Time `json:"sold_at"`
}

// Item is pieces of one line.
type Item struct {
	Line     int32  `json:"line"` // its number, from 1
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
func (CreditHeld) event()     {}
func (CreditRefused) event()  {}
func (Authorized) event()     {}
func (Declined) event()       {}
func (Unknown) event()        {}
func (ConfirmedEvent) event() {}
func (RejectedEvent) event()  {}
func (UndoQueued) event()     {}
func (Undone) event()         {}
func (UndoSkipped) event()    {}
