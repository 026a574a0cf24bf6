package app

import (
	"context"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// Catalog is what carts asks of catalog.
type Catalog interface {
	// Variants reads SKUs; one that does not exist or is not for sale is left out.
	Variants(ctx context.Context, skus []string) (map[string]cart.Line, error)
}

// Pricing is what carts asks of pricing.
type Pricing interface {
	Quote(ctx context.Context, q QuoteRequest) (Quote, error)
}

// QuoteRequest asks what lines cost together, sent to a country with this shipping.
type QuoteRequest struct {
	Channel, Currency, Country string
	Lines                      []cart.Line
	Shipping                   *money.Money
}

// Quote is what lines cost.
type Quote struct {
	Channel, Currency              string
	TaxInclusive                   bool
	Lines                          []QuotedLine // in the order asked
	Items, Discount, Shipping, Tax money.Money
	ShippingTax, Total             money.Money
	Unpriced                       []string // SKUs without a price: then there is no total
}

// QuotedLine is what one line costs.
type QuotedLine struct {
	UnitPrice, Discount, Tax, Total money.Money
	TaxRate                         string
}

// Stock is what carts asks of inventory.
type Stock interface {
	Availability(ctx context.Context, skus []string) (map[string]Availability, error)
}

// Availability is how much of a SKU can be sold now.
type Availability struct {
	Pieces       int32
	Backorder    bool
	BackorderMax int32 // of a bounded backorder: pieces beyond what is available; 0 is unbounded
}

// Covers tells whether so many pieces can be had.
func (a Availability) Covers(quantity int32) bool {
	return quantity <= a.Pieces || a.Backorder && (a.BackorderMax == 0 || quantity <= a.BackorderMax)
}

// Shipping is what carts asks of shipping.
type Shipping interface {
	Rates(ctx context.Context, r Parcel) ([]Option, error)
}

// Parcel is what is to be sent.
type Parcel struct {
	Channel, Currency, Country string
	WeightGrams                int64
}

// Option is a way to send a parcel.
type Option struct {
	ID, Name string
	Price    money.Money
}

// People is what carts asks of users, the only room that keeps names and addresses.
type People interface {
	PutContact(ctx context.Context, subjectID string, c ContactInput) (cart.Contact, error)
}

// ContactInput is who and where, as the shopper said it; it is passed on and not kept.
type ContactInput struct {
	Email                                          string
	Name, City, Region, PostalCode, Country, Phone string
	Lines                                          []string
}
