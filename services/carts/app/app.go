// Package app is what carts does: it keeps carts as documents and prices and checks
// them anew for every answer. No transaction is held while another room is asked.
package app

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/carts/cart"
)

const (
	ttlDefault  = 30 * 24 * time.Hour // how long a cart lives after it was last changed
	shipmentMax = 1_000_000_000       // grams of one parcel
)

// Deps is what an App stands on.
type Deps struct {
	Store    Store
	Clock    clock.Clock
	IDs      id.Source
	TTL      time.Duration // 0: 30 days
	Catalog  Catalog
	Pricing  Pricing
	Stock    Stock
	Shipping Shipping
	People   People
}

// App is the use cases of carts.
type App struct{ Deps }

// New makes the use cases.
func New(d Deps) *App {
	if d.TTL == 0 {
		d.TTL = ttlDefault
	}
	return &App{d}
}

// Opening is what a cart begins with.
type Opening struct {
	Channel, Currency string
	Lines             []cart.Piece
	Metadata          map[string]string
}

// Create opens a cart.
func (a *App) Create(ctx context.Context, o Opening) (Priced, error) {
	if err := cart.CheckMetadata(o.Metadata); err != nil {
		return Priced{}, err
	}
	c := cart.Cart{ID: a.IDs.New("crt"), Version: 1, Channel: o.Channel, Currency: o.Currency, Metadata: o.Metadata}
	if err := a.fill(ctx, &c, o.Lines); err != nil {
		return Priced{}, err
	}
	p, err := a.price(ctx, c)
	if err != nil {
		return Priced{}, err
	}
	p.Cart.Channel, p.Cart.Currency = p.Quote.Channel, p.Quote.Currency
	p.Cart.ExpiresAt = a.Clock.Now().Add(a.TTL)
	return p, a.Store.Create(ctx, p.Cart)
}

func (a *App) fill(ctx context.Context, c *cart.Cart, pieces []cart.Piece) error {
	if len(pieces) == 0 {
		return nil
	}
	if len(pieces) > cart.LinesMax {
		return problem.Field("lines", "too_many", fmt.Sprintf("at most %d lines", cart.LinesMax))
	}
	skus, wanted := make([]string, len(pieces)), make(map[string]int32, len(pieces))
	for i, p := range pieces {
		wanted[p.SKU] += min(p.Quantity, cart.QuantityMax+1) // the same SKU twice is meant twice
		if err := cart.CheckLine(p.SKU, wanted[p.SKU]); err != nil {
			return within(err, fmt.Sprintf("lines[%d].", i))
		}
		if p.Quantity < 1 {
			return problem.Field(fmt.Sprintf("lines[%d].quantity", i), "out_of_range", fmt.Sprintf("1 to %d pieces", cart.QuantityMax))
		}
		skus[i] = p.SKU
	}
	known, err := a.Catalog.Variants(ctx, skus)
	if err != nil {
		return err
	}
	for i, p := range pieces {
		line, ok := known[p.SKU]
		if !ok {
			return within(unknownSKU(p.SKU), fmt.Sprintf("lines[%d].", i))
		}
		line.Quantity = wanted[p.SKU]
		if err := c.Put(line); err != nil {
			return err
		}
	}
	return nil
}

// within puts the fields at fault below a path.
func within(err error, path string) error {
	if p := problem.Of(err); p != nil {
		for i := range p.Violations {
			p.Violations[i].Field = path + p.Violations[i].Field
		}
	}
	return err
}

func unknownSKU(sku string) error {
	return problem.Newf(problem.NotFound, "sku_not_found", "there is no SKU %q for sale", sku).On("sku", "not_found", "pick a SKU from the product list")
}

// Get reads a cart, priced and checked as of now.
func (a *App) Get(ctx context.Context, p auth.Principal, cartID string) (Priced, error) {
	c, err := a.read(ctx, p, cartID)
	if err != nil {
		return Priced{}, err
	}
	return a.price(ctx, c)
}

// PutLine sets how many pieces of a SKU the cart has.
func (a *App) PutLine(ctx context.Context, p auth.Principal, cartID string, piece cart.Piece) (Priced, error) {
	if err := cart.CheckLine(piece.SKU, piece.Quantity); err != nil {
		return Priced{}, err
	}
	line := cart.Line{SKU: piece.SKU}
	if piece.Quantity > 0 {
		known, err := a.Catalog.Variants(ctx, []string{piece.SKU})
		if err != nil {
			return Priced{}, err
		}
		var ok bool
		if line, ok = known[piece.SKU]; !ok {
			return Priced{}, unknownSKU(piece.SKU)
		}
	}
	line.Quantity = piece.Quantity
	return a.change(ctx, p, cartID, func(c *cart.Cart) error { return c.Put(line) })
}

// PutAddress sets who receives the order and where.
func (a *App) PutAddress(ctx context.Context, p auth.Principal, cartID string, in ContactInput) (Priced, error) {
	c, err := a.read(ctx, p, cartID)
	if err != nil {
		return Priced{}, err
	}
	contact, err := a.People.PutContact(ctx, c.Contact.SubjectID, in)
	if err != nil {
		return Priced{}, err
	}
	return a.change(ctx, p, cartID, func(c *cart.Cart) error {
		if c.Contact.Country != contact.Country {
			c.ShippingID = "" // it was chosen for another country
		}
		c.Contact = contact
		return nil
	})
}

// Options lists the ways to send this cart.
func (a *App) Options(ctx context.Context, p auth.Principal, cartID string) ([]Option, error) {
	c, err := a.read(ctx, p, cartID)
	if err != nil {
		return nil, err
	}
	o, err := a.offers(ctx, &c)
	return o.options, err
}

// offer is the ways that shipping has named to send a parcel.
type offer struct {
	parcel  Parcel
	options []Option
}

func (a *App) offers(ctx context.Context, c *cart.Cart) (o offer, err error) {
	if c.Contact.Country == "" {
		return o, problem.New(problem.Unprocessable, "cart_incomplete", "say where to send it first").On("address", "missing", "put the address")
	}
	o.parcel = parcelOf(c)
	o.options, err = a.Shipping.Rates(ctx, o.parcel)
	return o, err
}

func parcelOf(c *cart.Cart) Parcel {
	return Parcel{Channel: c.Channel, Currency: c.Currency, Country: c.Contact.Country, WeightGrams: min(c.WeightGrams(), shipmentMax)}
}

// PutShipping chooses one of the listed options.
func (a *App) PutShipping(ctx context.Context, p auth.Principal, cartID, optionID string) (Priced, error) {
	c, err := a.read(ctx, p, cartID)
	if err != nil {
		return Priced{}, err
	}
	offered, err := a.offers(ctx, &c)
	if err != nil {
		return Priced{}, err
	}
	if _, ok := pick(offered.options, optionID); !ok {
		return Priced{}, problem.Field("option_id", "unknown", "choose one of this cart's shipping options")
	}
	return a.changeKnowing(ctx, p, cartID, offered, func(c *cart.Cart) error {
		c.ShippingID = optionID
		return nil
	})
}

// change applies a change to the cart as it stands, and prices the result.
func (a *App) change(ctx context.Context, p auth.Principal, cartID string, apply func(*cart.Cart) error) (Priced, error) {
	return a.changeKnowing(ctx, p, cartID, offer{}, apply)
}

// changeKnowing does not ask shipping again for a parcel that it has just offered ways for.
func (a *App) changeKnowing(ctx context.Context, p auth.Principal, cartID string, offered offer, apply func(*cart.Cart) error) (Priced, error) {
	if err := mayTouch(p, cartID); err != nil {
		return Priced{}, err
	}
	changed, err := a.Store.Change(ctx, cartID, func(c *cart.Cart) error {
		if err := apply(c); err != nil {
			return err
		}
		c.Version++
		c.ExpiresAt = a.Clock.Now().Add(a.TTL)
		return nil
	})
	if err != nil {
		return Priced{}, err
	}
	return a.priceKnowing(ctx, changed, offered)
}

func (a *App) read(ctx context.Context, p auth.Principal, cartID string) (c cart.Cart, err error) {
	if err := mayTouch(p, cartID); err != nil {
		return c, err
	}
	return a.Store.Load(ctx, cartID)
}

func mayTouch(p auth.Principal, cartID string) error {
	if p.Owns(cartID) || p.Staff() || p.Service() {
		return nil
	}
	return CartNotFound(cartID)
}

// CartNotFound is the refusal of a cart that has ended, never was, or is another's.
func CartNotFound(cartID string) error {
	return problem.Newf(problem.NotFound, "cart_not_found", "there is no cart %s that you may see", cartID)
}
