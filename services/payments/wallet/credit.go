package wallet

import (
	"time"

	"github.com/seed-21071466/souk/money"
)

// Credit is store credit that was set aside for an order.
type Credit struct {
	Order         string
	Run           string // the run of the order's checkout whose effect it is
	Subject       string
	Amount        money.Money // set aside at first
	CapturedMinor int64       // taken of it
	ReleasedMinor int64       // let go of, not taken
	RefundedMinor int64       // given back after it was taken
	Closed        bool        // nothing more will be taken of it than what is being taken
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Left is what is still set aside.
func (c *Credit) Left() int64 { return c.Amount.Minor - c.CapturedMinor - c.ReleasedMinor }

// CreditState is what is known of store credit that was set aside.
type CreditState string

// The states; the words are the contract's.
const (
	CreditHeld     CreditState = "held"
	CreditCaptured CreditState = "captured" // wholly, or the rest was let go
	CreditReleased CreditState = "released"
	CreditNone     CreditState = "none" // there is none
)

// State is held as long as anything is set aside.
func (c *Credit) State() CreditState {
	switch {
	case c.Order == "":
		return CreditNone
	case c.Left() > 0:
		return CreditHeld
	case c.CapturedMinor > 0:
		return CreditCaptured
	}
	return CreditReleased
}

// Release closes the credit and lets go of what is set aside but for what a
// capture is taking just now; minor is what is let go.
func (c Credit) Release(taking int64, at time.Time) (after Credit, minor int64) {
	minor = max(0, c.Left()-taking)
	if minor > 0 || !c.Closed {
		c.ReleasedMinor += minor
		c.Closed, c.UpdatedAt = true, at
	}
	return c, minor
}
