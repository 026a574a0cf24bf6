package app

import (
	"context"
	"time"

	"github.com/seed-21071466/souk/services/orders/order"
)

// Carts is what orders asks of carts.
type Carts interface {
	// ForCheckout reads a cart, priced anew; one that is not ready is refused with what is missing.
	ForCheckout(ctx context.Context, cartID string) (Cart, error)
}

// Cart is a cart as it is frozen into an order.
type Cart struct {
	order.Placed        // all but the order's own id, times and provider
	LastOrderID  string // the last order that took its lines out of the cart
}

// Stock is what orders asks of inventory.
type Stock interface {
	// Hold takes all lines off what is available. A shortage comes back as lines, not as an error.
	Hold(ctx context.Context, h Hold) (short []order.Short, err error)
	// Release ends the hold of a run, and leaves a tombstone where there is none.
	Release(ctx context.Context, orderID, runID string) (outcome string, err error)
}

// Hold asks for the lines of an order.
type Hold struct {
	OrderID, RunID string
	Attempt        int
	Lines          []order.Line
	Deadline       time.Time
}

// Payments is what orders asks of payments.
type Payments interface {
	// Authorize asks for the money once, and at each further call how that went.
	Authorize(ctx context.Context, a Authorization) (order.Event, error)
	// Cancel undoes the payment of a run; done is false while the provider has not accepted it.
	Cancel(ctx context.Context, orderID, runID, reason string) (outcome string, done bool, err error)
}

// Authorization asks for the money of an order.
type Authorization struct {
	OrderID, RunID string
	Attempt        int
	Amount         int64
	Currency       string
	Provider       string
	Token          string
}

// People is what orders asks of users.
type People interface {
	// Address reads an address row; ok is false when it was erased.
	Address(ctx context.Context, addressID string) (a Address, ok bool, err error)
}

// Address is where an order goes. It is never stored here.
type Address struct {
	Name, City, Region, PostalCode, Country, Phone string
	Lines                                          []string
}
