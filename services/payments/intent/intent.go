// Package intent is the heart of payments: one intent is one order's wish to
// pay once, and its state machine decides what is known of it.
//
//	created ──▶ confirming ──▶ authorized ──────────▶ captured   wholly, or the rest was let go
//	   │          │    └─────▶ declined  │ Cancel        ▲
//	   │          ▼                      ▼               │
//	   │       unknown ──Cancel──▶ canceling ────────────┘
//	   └──────────Cancel─────────────▲   ├─────▶ voided   the order asked for it
//	                                     └─────▶ failed   nobody could learn the outcome
//
// Two kinds of things happen to an intent. Decisions (Confirm, Cancel) are
// ours. Facts come from the provider by whatever way, the answer of a call, a
// webhook, the reconciler's reading; they may come twice, late and in any
// order, and none is ever refused. What the provider's payment goes through is
// ordered, so an intent keeps the furthest it has seen and takes anything
// earlier for old news: that alone makes all orders of facts end alike. Money
// that turns up where nobody wants it any more is answered with Void.
//
// An authorized intent is captured once or in parts; what was captured is kept
// by the intent, the rest of it is what is still held.
package intent

import (
	"strconv"
	"time"

	"github.com/seed-21071466/souk/money"
)

// State is what is known of an intent.
type State string

// The states of an intent.
const (
	Created    State = "created"    // the provider's payment exists; nothing was confirmed
	Confirming State = "confirming" // a confirming call may be under way
	Authorized State = "authorized" // the provider holds the money for us
	Declined   State = "declined"   // refused: no money
	Unknown    State = "unknown"    // confirmed, and nobody can say yet how it ended
	Canceling  State = "canceling"  // not wanted any more; the provider has not agreed yet
	Captured   State = "captured"   // money was taken, and no more is held
	Voided     State = "voided"     // no money, because it was called off
	Failed     State = "failed"     // no money, because the outcome could not be learnt
)

// Final says that the intent asks for nothing more. A late fact may still
// reopen it.
func (s State) Final() bool {
	return s == Authorized || s == Captured || s == Declined || s == Voided || s == Failed
}

// RestsAt says that the intent asks for nothing more and has been seen to come
// exactly so far: an announcement of that sight tells nothing new.
func (i Intent) RestsAt(sight Sight) bool {
	return i.State.Final() && sight > Pending && i.Seen == sight
}

// Known says that the state is one of the above.
func (s State) Known() bool {
	return s.Final() || s == Created || s == Confirming || s == Unknown || s == Canceling
}

// Sight is how far the provider's payment has been seen to come. It only grows.
type Sight uint8

// The sights, in the order in which a provider's payment passes them.
const (
	Unconfirmed Sight = iota // holds no money and is not asked to
	Pending                  // the provider does not know yet
	Refused
	Held
	Gone // holds no money, for good; what was captured before is ours
)

// Cause is why an intent was called off.
type Cause string

// The causes.
const (
	Requested Cause = "requested" // the order asked for it
	Abandoned Cause = "abandoned" // the outcome stayed unknown for too long
	Overtaken Cause = "overtaken" // the money came after its decline had been told
	Lapsed    Cause = "lapsed"    // the provider let go of what it held
)

// ReasonNoAnswer is the reason of an intent that failed because its outcome
// stayed unknown.
const ReasonNoAnswer = "no_answer"

// Intent is one order's payment. Its attempt is stored before the confirming
// call, so that after any crash the provider is asked under the same key.
type Intent struct {
	ID         string
	Shop       string
	Order      string
	Run        string // the run of the order's checkout whose effect it is
	Attempt    int
	Amount     money.Money
	Provider   string
	ProviderID string
	State      State
	Seen       Sight
	Held       bool // the ledger holds its money
	Cause      Cause
	Reason     string // of a decline or of a cancellation
	CreatedAt  time.Time
	UpdatedAt  time.Time

	MultiCapture  bool  // the provider can capture it in parts
	CapturedMinor int64 // taken so far, in minor units of Amount
	RefundedMinor int64 // of it given back
}

// Rest is what was not captured.
func (i Intent) Rest() money.Money {
	return money.Of(i.Amount.Minor-i.CapturedMinor, i.Amount.Currency)
}

// Key is the provider's idempotency key of an order's attempt.
func Key(order string, attempt int) string { return order + "/pay/" + strconv.Itoa(attempt) }

// Key is the idempotency key of this intent's attempt.
func (i Intent) Key() string { return Key(i.Order, i.Attempt) }

// Event is what the world is told of an intent.
type Event string

// The events; each has a public message of the same name.
const (
	PaymentAuthorized Event = "PaymentAuthorized"
	PaymentDeclined   Event = "PaymentDeclined"
	PaymentUnknown    Event = "PaymentUnknown"
	PaymentVoided     Event = "PaymentVoided"
	PaymentFailed     Event = "PaymentFailed"
)

// Move is what the ledger has to do.
type Move uint8

// The moves of money.
const (
	NoMove  Move = iota
	Hold         // the provider holds the amount for us
	Release      // it does so no longer with the rest
)

// Change is what a decision or a fact made of an intent: the intent as it is
// now, at most one event and at most one move of money.
type Change struct {
	Intent Intent
	Event  Event // empty: nothing to tell
	Move   Move
	News   bool // the intent differs from before
}

// Command is what has to be done at the provider next.
type Command uint8

// The commands. Each is safe to repeat.
const (
	Rest    Command = iota // nothing
	Read                   // look what became of it
	Confirm                // ask again, under the same attempt key
	Void                   // cancel at the provider
	Abandon                // decide to call it off, then void
)
