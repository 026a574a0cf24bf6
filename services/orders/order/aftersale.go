package order

import "time"

// Piece is pieces of one line of an order.
type Piece struct {
	Line     int32 `json:"line"` // its number, from 1
	Quantity int32 `json:"quantity"`
}

// CancelRequested is the decision to call off what has not been dispatched; shipping is asked to stop it.
type CancelRequested struct {
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// CanceledEvent is the decision that what shipping has stopped never will be delivered, with what is to be undone.
type CanceledEvent struct {
	CartID    string    `json:"cart_id,omitempty"`
	SubjectID string    `json:"subject_id,omitempty"`
	Items     []Item    `json:"items"` // what is not delivered
	Whole     bool      `json:"whole"` // nothing of the order was delivered
	Undo      []Step    `json:"undo,omitempty"`
	At        time.Time `json:"at"`
}

// CancelRefused is the decision that the order stands, because everything had left before.
type CancelRefused struct {
	Code string    `json:"code"` // "already_dispatched"
	At   time.Time `json:"at"`
}

// Dispatched is the fact that a parcel has left.
type Dispatched struct {
	ParcelID string    `json:"parcel_id"`
	Pieces   []Piece   `json:"pieces"`
	At       time.Time `json:"at"`
}

// CaptureRequested is the decision to take money.
type CaptureRequested struct {
	ID     string `json:"id"`
	Amount int64  `json:"amount"`
	Final  bool   `json:"final,omitempty"` // nothing more will be taken: the rest is released
}

// Captured is the fact that money was taken.
type Captured struct {
	ID     string `json:"id"`
	Amount int64  `json:"amount"`
}

// CaptureFailed is the fact that money could not be taken. It repeats what others need to act on it.
type CaptureFailed struct {
	ID        string `json:"id"`
	Code      string `json:"code"`
	Due       bool   `json:"due,omitempty"` // goods have left for it
	SubjectID string `json:"subject_id,omitempty"`
	Amount    int64  `json:"amount,omitempty"`
	Currency  string `json:"currency,omitempty"`
}

// CaptureDropped is the decision not to try a capture any more: it is not needed, or an operator says so.
type CaptureDropped struct {
	ID string `json:"id"`
}

// ReturnOpened is the decision that pieces may come back.
type ReturnOpened struct {
	ID        string         `json:"id"`
	Lines     []ReturnedLine `json:"lines"`
	Reason    string         `json:"reason,omitempty"`
	Reference string         `json:"reference,omitempty"` // the merchant's own number of it
	At        time.Time      `json:"at"`
}

// ReturnedLine is pieces of one line that come back, with their share of what was paid.
type ReturnedLine struct {
	Line     int32  `json:"line"`
	SKU      string `json:"sku"`
	Quantity int32  `json:"quantity"`
	WriteOff bool   `json:"write_off,omitempty"` // they cannot be sold again
	Refund   int64  `json:"refund"`
}

// ReturnReceived is the decision that pieces came back; what is given back for them is requested with it.
type ReturnReceived struct {
	ID        string         `json:"id"`
	SubjectID string         `json:"subject_id,omitempty"`
	Lines     []ReturnedLine `json:"lines"`
	Refund    int64          `json:"refund"`
	At        time.Time      `json:"at"` // when they came
}

// ReturnClosed is the decision that an announced return is given up.
type ReturnClosed struct {
	ID     string    `json:"id"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// RefundRequested is the decision to give money back; its id is the provider's key for ever.
type RefundRequested struct {
	ID       string    `json:"id"`
	Amount   int64     `json:"amount"`
	Unearned bool      `json:"unearned,omitempty"` // taken for pieces that never left
	ReturnID string    `json:"return_id,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	At       time.Time `json:"at"`
}

// Refunded is the fact that money was given back. It repeats what others need to act on it.
type Refunded struct {
	ID        string `json:"id"`
	Amount    int64  `json:"amount"`
	SubjectID string `json:"subject_id,omitempty"`
	Currency  string `json:"currency,omitempty"`
}

// RefundFailed is the fact that money could not be given back; it is tried again.
type RefundFailed struct {
	ID   string `json:"id"`
	Code string `json:"code"`
}

// RefundDropped is an operator's decision not to try a refund any more.
type RefundDropped struct {
	ID string `json:"id"`
}

func (CancelRequested) event()  {}
func (CanceledEvent) event()    {}
func (CancelRefused) event()    {}
func (Dispatched) event()       {}
func (CaptureRequested) event() {}
func (Captured) event()         {}
func (CaptureFailed) event()    {}
func (ReturnOpened) event()     {}
func (ReturnReceived) event()   {}
func (ReturnClosed) event()     {}
func (RefundRequested) event()  {}
func (Refunded) event()         {}
func (RefundFailed) event()     {}
func (CaptureDropped) event()   {}
func (RefundDropped) event()    {}
