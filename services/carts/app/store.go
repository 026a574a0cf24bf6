package app

import (
	"context"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// Store keeps carts until they end. Its drivers are storesql and storeredis, its text is
// the suite in storetest.
//
// Every answer is of something that is kept: what a change returns has been stored, and a
// refusal was decided on the cart as it is stored. A store that cannot be asked answers
// problem storage_unavailable, within a bound of its own.
type Store interface {
	// Create keeps a new cart.
	Create(ctx context.Context, c cart.Cart) error
	// Load reads a cart; one that has ended or never was is CartNotFound.
	Load(ctx context.Context, cartID string) (cart.Cart, error)
	// Change applies a change to the cart as it stands and keeps the result, as if no other
	// change happened meanwhile. apply may run again, on another state of the cart; it raises
	// the version, and an error of it leaves the cart as it is.
	Change(ctx context.Context, cartID string, apply func(*cart.Cart) error) (cart.Cart, error)
	// Follow completes a consumer of orders: it takes what was bought out of the carts, each
	// order once, together with the mark of how far the consumer has come.
	Follow(c bus.Consumer, heard map[string]Hear) bus.Consumer
	// Sweep removes carts that have ended and tells how many; none where they end by themselves.
	Sweep(ctx context.Context) (removed int64, err error)
	// Ready is nil when carts can be read and changed, else it says why not.
	Ready(ctx context.Context) error
	// Close frees what the store holds; calls under way end first.
	Close() error
}

// Hear reads what an event of orders says was bought.
type Hear func(bus.Event) (Bought, error)

// Bought is what an order took of a cart.
type Bought struct {
	CartID, OrderID string
	Place           int64 // in the record of orders
	Pieces          []cart.Piece
}

// TakeOut takes it out of its cart; false when there is nothing to change.
func (b Bought) TakeOut(c *cart.Cart) bool {
	if !c.Ordered(b.OrderID, b.Place, b.Pieces) {
		return false
	}
	c.Version++
	return true
}
