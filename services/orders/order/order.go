// Package order is the heart of orders: it decides. It is pure; what it needs,
// time and ids too, comes with the command.
//
//	           ┌────────────► Confirmed ◄──► Canceling ──► Canceled     stock held, payment authorized; then called off
//	Placed ────┤
//	(pending)  └────────────► Rejected           sold out, declined, canceled, or unresolved at the deadline
//
// Beside that go its goods (dispatched, returned), its captures and its refunds.
//
// Facts (held, authorized, declined, unknown, voided…) are accepted in every
// state and answered with what they call for; only decisions can lose. An order
// is decided once: what arrives later is recorded, and undone if it must be.
package order

import (
	"slices"
	"time"
)

// Status is where an order stands.
type Status string

// The states of an order.
const (
	Absent    Status = ""          // never placed
	Pending   Status = "pending"   // placed, not decided
	Confirmed Status = "confirmed" // paid for and held
	Rejected  Status = "rejected"  // will not be
	Canceling Status = "canceling" // confirmed, and shipping is asked what can still be stopped
	Canceled  Status = "canceled"  // confirmed, and nothing of it will be delivered
)

// PaymentStatus is what the order knows of its payment.
type PaymentStatus string

// What an order knows of its payment.
const (
	PaymentNone       PaymentStatus = "none"
	PaymentUnknown    PaymentStatus = "unknown"
	PaymentAuthorized PaymentStatus = "authorized"
	PaymentDeclined   PaymentStatus = "declined"
	PaymentVoided     PaymentStatus = "voided"
)

// Step names what the checkout does and can undo.
type Step string

// The steps that leave an effect in another room.
const (
	StepHold   Step = "hold"   // inventory holds the lines
	StepCredit Step = "credit" // payments has set store credit aside
	StepPay    Step = "pay"    // payments has the authorization
)

// Line is one line with its frozen amounts, in minor units of the order's currency.
type Line struct {
	SKU       string `json:"sku"`
	ProductID string `json:"product_id,omitempty"`
	Title     string `json:"title,omitempty"`
	Quantity  int32  `json:"quantity"`
	UnitPrice int64  `json:"unit_price"`
	ListPrice *int64 `json:"list_price,omitempty"` // what the list said, where the desk set another price
	Discount  int64  `json:"discount,omitempty"`
	Tax       int64  `json:"tax,omitempty"`
	TaxRate   string `json:"tax_rate,omitempty"`
	Total     int64  `json:"total"`
}

// Shipping is how an order goes and what that costs.
type Shipping struct {
	OptionID string `json:"option_id"`
	Name     string `json:"name"`
	Price    int64  `json:"price"`
	Tax      int64  `json:"tax,omitempty"`
}

// Totals are frozen at placement. With TaxInclusive the tax is contained in the
// other amounts, else it is added.
type Totals struct {
	Items        int64 `json:"items"`
	Discount     int64 `json:"discount,omitempty"`
	Shipping     int64 `json:"shipping"`
	Tax          int64 `json:"tax"`
	Total        int64 `json:"total"`
	TaxInclusive bool  `json:"tax_inclusive,omitempty"`
}

// Order is the state that the events of its stream fold to.
type Order struct {
	Placed                   // what was frozen
	Version    int64         // events folded
	Status     Status        // where it stands
	Held       bool          // inventory holds its lines for us
	CreditHeld bool          // payments has set its store credit aside
	Payment    PaymentStatus // what is known of the payment
	IntentID   string        // the payment's id, once there is one
	Rejection  Rejection     // why it was rejected
	Undo       []Step        // effects still to be undone, in order
	DecidedAt  time.Time     // when it was confirmed or rejected

	// What came after its confirmation.
	MultiCapture bool         `json:",omitempty"` // its money can be taken in parts
	LetGo        bool         `json:",omitempty"` // what was set aside and not taken is not ours any more
	Cancellation Cancellation `json:",omitzero"`
	Parts        []Part       `json:",omitempty"` // by line; shorter than Lines while nothing happened to the rest
	Parcels      []string     `json:",omitempty"` // ids of those that left
	Captures     []Capture    `json:",omitempty"`
	Refunds      []Refund     `json:",omitempty"`
	Returns      []Return     `json:",omitempty"`
}

// Rejection says why an order will not be.
type Rejection struct {
	Code    string   `json:"code"`              // "sold_out", "insufficient_credit", "payment_declined", "payment_unresolved", "order_canceled"
	Message string   `json:"message"`           // for the shopper
	Detail  string   `json:"detail,omitempty"`  // the provider's own code
	Lines   []Short  `json:"lines,omitempty"`   // the lines at fault
	Skipped []string `json:"skipped,omitempty"` // steps that an operator chose not to undo
}

// Short is one line that cannot be delivered.
type Short struct {
	SKU     string `json:"sku"`
	Message string `json:"message"`
}

// Decided tells whether the order has been confirmed or rejected, whatever came after.
func (o *Order) Decided() bool { return o.Status != Absent && o.Status != Pending }

// ToPay is what the provider is asked for: the total less store credit.
func (o *Order) ToPay() int64 { return o.Totals.Total - o.Credit }

// paid tells that all of the total is set aside for us.
func (o *Order) paid() bool {
	return (o.Credit == 0 || o.CreditHeld) && (o.ToPay() == 0 || o.Payment == PaymentAuthorized)
}

func (o *Order) undoing(step Step) bool { return slices.Contains(o.Undo, step) }

// Quantity is the number of pieces in all.
func (o *Order) Quantity() (pieces int32) {
	for i := range o.Lines {
		pieces += o.Lines[i].Quantity
	}
	return pieces
}

// Fold is the state after these events.
func Fold(events ...Event) (Order, error) {
	var o Order
	for _, e := range events {
		if err := o.Evolve(e); err != nil {
			return Order{}, err
		}
	}
	return o, nil
}
