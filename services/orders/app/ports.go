package app

import (
	"context"
	"time"

	"github.com/seed-21071466/souk/money"
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
	// ReleaseLines gives some pieces of a confirmed order back, once for each release.
	ReleaseLines(ctx context.Context, orderID, releaseID string, items []order.Item) (outcome string, err error)
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
	// HoldCredit sets store credit aside, once; the fact says whether the wallet covers it.
	HoldCredit(ctx context.Context, c Credit) (order.Event, error)
	// ReleaseCredit gives back what is left of the store credit of a run.
	ReleaseCredit(ctx context.Context, orderID, runID string) (outcome string, err error)
	// Capture takes money, once for each id; nil without an error while its outcome is not known.
	Capture(ctx context.Context, orderID, currency string, c order.Capture) (order.Event, error)
	// Refund gives money back, once for each id; nil without an error while its outcome is not known.
	Refund(ctx context.Context, orderID, currency string, r order.Refund) (order.Event, error)
}

// Credit asks for store credit of an order's customer.
type Credit struct {
	OrderID, RunID, SubjectID string
	Amount                    int64
	Currency                  string
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

// Shipping is what orders asks of shipping.
type Shipping interface {
	// Stop ends the sending of what has not left; left is what has.
	Stop(ctx context.Context, orderID, reason string) (left []order.Piece, err error)
}

// Catalog is what orders asks of the catalog, for the sales desk.
type Catalog interface {
	// Variants reads SKUs; one that does not exist or is not for sale is left out.
	Variants(ctx context.Context, skus []string) (map[string]Variant, error)
}

// Variant is what the catalog says of a SKU.
type Variant struct {
	ProductID, Title, TaxClass string
}

// Pricing is what orders asks of pricing, for the sales desk.
type Pricing interface {
	// QuoteDesk prices the lines of an order, each at its own price where it carries one; what the lines come to is
	// written into the order's lines and totals.
	QuoteDesk(ctx context.Context, q DeskQuote) (order.Placed, error)
}

// DeskQuote asks what a desk order comes to.
type DeskQuote struct {
	Channel, Currency, Country string
	Lines                      []QuoteLine
	Shipping                   *money.Money
}

// QuoteLine is one line to price.
type QuoteLine struct {
	SKU, TaxClass string
	Quantity      int32
	UnitPrice     *money.Money // in place of the list's
}

// People is what orders asks of users.
type People interface {
	// Contact reads what an order needs of a customer; ok is false when there is none, or none any more.
	Contact(ctx context.Context, subjectID string) (c Contact, ok bool, err error)
	// Address reads an address row; ok is false when it was erased.
	Address(ctx context.Context, addressID string) (a Address, ok bool, err error)
}

// Contact is what an order needs of a customer: the newest address row, if any, and the country for tax.
type Contact struct {
	AddressID, Country string
}

// Address is where an order goes. It is never stored here.
type Address struct {
	Name, City, Region, PostalCode, Country, Phone string
	Lines                                          []string
}
