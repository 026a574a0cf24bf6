// Package provider is what payments asks of a payment provider, in its own
// words. A provider's payment is made unconfirmed, so that its id can be
// stored before any money moves, and is then confirmed:
//
//	Create ──▶ created ──Confirm──▶ pending ──▶ authorized ──Cancel──▶ canceled
//	              │                    │             │                    ▲
//	              │                    │             └─Capture─▶ captured │
//	              │                    └──────▶ declined                  │
//	              └───────────────────Cancel──────────────────────────────┘
//
// A payment only ever moves along these arrows; a reader that has seen a
// later status may therefore ignore an earlier one that arrives late. A
// payment that is captured in part stays authorized for the rest; what was
// captured can be given back, which changes its sums and not its status.
//
// Every driver passes providertest.Run.
package provider

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/seed-21071466/souk/money"
)

// Provider is an outsider that moves money. Any error but those named in this
// package leaves the outcome unknown; the caller then reads with Get.
type Provider interface {
	// Name is the word by which intents, webhooks and configuration know this
	// provider: "sandbox".
	Name() string
	// Capabilities says what this provider can do.
	Capabilities() Capabilities
	// Create makes an unconfirmed payment, which holds no money. The same key
	// gives the same payment again; another draft under a used key is
	// ErrKeyReused, an unknown token ErrTokenRefused.
	Create(ctx context.Context, draft Draft) (Payment, error)
	// Confirm asks for the money, once a payment: whatever the attempt key, a
	// payment that was confirmed before is answered as it is now. A decline is
	// an answer, not an error. ErrNotFound if the provider never heard of it.
	Confirm(ctx context.Context, id, attemptKey string) (Payment, error)
	// Get reads a payment, ErrNotFound if the provider never heard of it.
	Get(ctx context.Context, id string) (Payment, error)
	// Cancel makes sure that a payment holds no money and never will: it drops
	// an unconfirmed one and voids an authorized one, of which what was
	// captured stays captured. Safe to repeat. A pending payment may be refused
	// with ErrPending; try again later.
	Cancel(ctx context.Context, id string) (Payment, error)
	// Capture takes an amount of what an authorized payment holds; after a final
	// one nothing more is held. A key captures once, for ever: heard again it is
	// answered as done, whatever has become of the payment. A capture that is
	// refused moved nothing, and is tried anew when its key is heard again.
	// ErrKeyReused if the key did something else, ErrNotFound if the provider
	// never heard of the payment.
	Capture(ctx context.Context, id, key string, amount money.Money, final bool) (Operation, error)
	// Refund gives an amount of what was captured back; its key and its refusals
	// are as Capture's.
	Refund(ctx context.Context, id, key string, amount money.Money) (Operation, error)
	// VerifyWebhook checks that the provider sent this just now and reads what
	// it announces, ErrSignature if it did not.
	VerifyWebhook(headers http.Header, body []byte) (Event, error)
}

// Lister is a provider whose payments can be listed, so that its books can be
// compared with ours.
type Lister interface {
	// List gives up to limit payments in the order of their making, beginning
	// behind cursor; next is empty at the end.
	List(ctx context.Context, cursor string, limit int) (page []Payment, next string, err error)
}

// Capabilities is what a provider declares about itself.
type Capabilities struct {
	// MultiCapture says that an authorization made now can be captured in parts;
	// without it there is one capture, which lets go of the rest.
	MultiCapture bool
	// AuthorizationLives is how long an authorization holds before the provider
	// cancels it by itself.
	AuthorizationLives time.Duration
}

// Draft is a payment to be made.
type Draft struct {
	Key       string      // idempotency key, "<order>/pay/<attempt>"
	Reference string      // whose payment it is for us: the order; given back by every read
	Amount    money.Money // more than nothing
	Token     string      // the shopper's means of payment, as the provider's client code named it
}

// Payment is the provider's own record at the time of the answer.
type Payment struct {
	ID        string // the provider's id
	Key       string // as in the draft
	Reference string // as in the draft
	Amount    money.Money
	Status    Status
	Reason    string // of a decline, "insufficient_funds", or of a cancellation by the provider, "expired"

	MultiCapture bool  // it can be captured in parts
	Captured     int64 // taken so far, in minor units of Amount
	Refunded     int64 // of it given back
}

// Operation is what came of a capture or a refund.
type Operation struct {
	Done    bool
	Reason  string  // why it was refused: "authorization_expired", "capture_refused", …
	Payment Payment // as it is now
}

// ReasonExpired is the reason of a payment whose authorization outlived its
// time, and RefusedExpired that of a capture which came too late for it.
const (
	ReasonExpired  = "expired"
	RefusedExpired = "authorization_expired"
)

// Status is how far a provider's payment has come. The values are ordered: a
// payment's status never decreases.
type Status uint8

// The statuses of a payment.
const (
	Created    Status = iota + 1 // unconfirmed: no money, and none without Confirm
	Pending                      // confirmed; the provider does not know yet
	Declined                     // refused: no money
	Authorized                   // the money is held, but for what was captured of it
	Canceled                     // no money, for good
	Captured                     // money was taken, and no more is held
)

var statuses = [...]string{"", "created", "pending", "declined", "authorized", "canceled", "captured"}

// String is the status in a word: "authorized".
func (s Status) String() string {
	if int(s) < len(statuses) {
		return statuses[s]
	}
	return statuses[0]
}

// ParseStatus is the status of that word, 0 for an unknown one.
func ParseStatus(word string) Status {
	for i, s := range statuses {
		if s == word {
			return Status(i)
		}
	}
	return 0
}

// Event is what a webhook announces. It says that something happened, not how
// things are now: read the payment.
type Event struct {
	ID        string // the provider's id of the event; the same for each delivery
	Kind      string // the provider's word, "payment.authorized"
	Status    Status // what the payment had become, 0 if the event does not say
	PaymentID string
	Captured  int64 // what had been taken then, in minor units
	Refunded  int64 // what had been given back
	Created   time.Time
}

// The answers of a provider that are certain.
var (
	ErrNotFound     = errors.New("the provider knows no such payment")
	ErrKeyReused    = errors.New("the idempotency key was used for something else")
	ErrTokenRefused = errors.New("the provider knows no such means of payment")
	ErrPending      = errors.New("the payment is pending and cannot be canceled now")
	ErrSignature    = errors.New("the webhook was not signed by the provider just now")
)
