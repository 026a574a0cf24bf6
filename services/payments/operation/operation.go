// Package operation is the heart of captures and refunds: one operation takes
// money of an order, or gives captured money back, and its id is the key for
// ever of all that is done about it.
//
//	Begin ──▶ pending ──▶ done
//	   ▲         │  ▲ └──▶ failed ──┐ asked for again
//	   │         ▼  │ asked again   │
//	   │       unknown              │
//	   └────────────────────────────┘
//
// What it may take or give back is decided by Funds, in the transaction that
// stores it. While it is pending or unknown its amount is set aside, so that
// operations that race for the same money cannot both have it.
package operation

import (
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
)

// Kind is what an operation does.
type Kind string

// The kinds.
const (
	Capture Kind = "capture" // takes money: store credit first, then what the provider holds
	Refund  Kind = "refund"  // gives it back: to the provider first, then to the wallet
)

// State is what is known of an operation.
type State string

// The states of an operation.
const (
	Pending State = "pending" // the provider is being asked
	Unknown State = "unknown" // it was asked and did not answer
	Done    State = "done"    // the money has moved
	Failed  State = "failed"  // nothing has moved; it may be asked for again
)

// Open says that the operation may still move money.
func (s State) Open() bool { return s == Pending || s == Unknown }

// Event is what the world is told of an operation.
type Event string

// The events; each has a public message of the same name.
const (
	PaymentCaptured Event = "PaymentCaptured"
	CaptureFailed   Event = "CaptureFailed"
	PaymentRefunded Event = "PaymentRefunded"
	RefundFailed    Event = "RefundFailed"
)

// The codes of this heart's refusals and failures.
const (
	CodeReused        = "operation_reused"      // the id stands for another order or amount
	CodeNotCapturable = "not_capturable"        // more than is held
	CodeNotRefundable = "not_refundable"        // more than was captured and not given back
	CodeExpired       = "authorization_expired" // a failure: the provider holds the money no longer
)

// Operation is one capture or refund.
type Operation struct {
	ID          string
	Shop        string
	Kind        Kind
	Order       string
	Intent      string // whose money it is at the provider; empty when none is
	Amount      money.Money
	CreditMinor int64  // of it, store credit
	Final       bool   // of a capture: nothing more will be taken
	Reason      string // why, for the log
	State       State
	Code        string // why it failed the last time
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Share is how an amount is divided, in minor units.
type Share struct{ Credit, Provider int64 }

// Sum is the whole amount.
func (s Share) Sum() int64 { return s.Credit + s.Provider }

// Share is how this operation's amount is divided.
func (o *Operation) Share() Share {
	return Share{Credit: o.CreditMinor, Provider: o.Amount.Minor - o.CreditMinor}
}

// Same refuses an id that stands for another operation.
func (o *Operation) Same(kind Kind, order string, amount money.Money, final bool) error {
	if o.Kind == kind && o.Order == order && o.Amount == amount && o.Final == final {
		return nil
	}
	return problem.Newf(problem.Unprocessable, CodeReused, "%s stands for a %s of %s", o.ID, o.Kind, o.Amount).With("order_id", o.Order)
}

// Begin decides that the provider is to be asked, with the amount so divided.
func (o Operation) Begin(share Share, intent string, at time.Time) Operation {
	o.State, o.CreditMinor, o.Intent, o.UpdatedAt = Pending, share.Credit, intent, at
	return o
}

// NoAnswer is the fact that the provider was asked and did not answer.
func (o Operation) NoAnswer(at time.Time) Operation {
	if o.State == Pending {
		o.State, o.UpdatedAt = Unknown, at
	}
	return o
}

// Settle is the fact of how it came out; failure is why nothing moved, empty if
// it did. A failure that was told before is not told again.
func (o Operation) Settle(failure string, at time.Time) (Operation, Event) {
	before := o.Code
	o.State, o.Code, o.UpdatedAt = Done, failure, at
	if failure == "" {
		return o, o.event()
	}
	o.State = Failed
	if failure == before {
		return o, ""
	}
	return o, o.event()
}

func (o *Operation) event() Event {
	switch {
	case o.Kind == Capture && o.State == Done:
		return PaymentCaptured
	case o.Kind == Capture:
		return CaptureFailed
	case o.State == Done:
		return PaymentRefunded
	}
	return RefundFailed
}
