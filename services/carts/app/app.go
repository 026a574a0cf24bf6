// Package app is what carts does: it keeps carts as documents and prices and checks
// them anew for every answer. No transaction is held while another room is asked.
package app

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/carts/cart"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the table that carts keeps.
func Schema() sqlstore.Schema {
	own, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(fmt.Sprintf("carts schema: %v", err)) // the folder is embedded: a build fault
	}
	return sqlstore.Schema{Name: "carts", Files: own}
}

const (
	ttlDefault  = 30 * 24 * time.Hour // how long a cart lives after it was last changed
	sweepBatch  = 500                 // carts that one transaction removes at most
	sweepMax    = 1000                // transactions of one sweep at most; what is left waits for the next
	shipmentMax = 1_000_000_000       // grams of one parcel
)

// Deps is what an App stands on.
type Deps struct {
	Store    *sqlstore.Store
	Clock    clock.Clock
	IDs      id.Source
	Shop     string
	TTL      time.Duration // 0: 30 days
	Catalog  Catalog
	Pricing  Pricing
	Stock    Stock
	Shipping Shipping
	People   People
}

// App is the use cases of carts.
type App struct {
	Deps
	recent recent
}

// New makes the use cases.
func New(d Deps) *App {
	if d.TTL == 0 {
		d.TTL = ttlDefault
	}
	return &App{Deps: d}
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
	return p, a.Store.Update(ctx, func(tx sqlstore.Tx) error { return a.save(tx, &p.Cart) })
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
	return a.options(ctx, &c)
}

func (a *App) options(ctx context.Context, c *cart.Cart) ([]Option, error) {
	if c.Contact.Country == "" {
		return nil, problem.New(problem.Unprocessable, "cart_incomplete", "say where to send it first").On("address", "missing", "put the address")
	}
	return a.Shipping.Rates(ctx, Parcel{
		Channel: c.Channel, Currency: c.Currency, Country: c.Contact.Country, WeightGrams: min(c.WeightGrams(), shipmentMax),
	})
}

// PutShipping chooses one of the listed options.
func (a *App) PutShipping(ctx context.Context, p auth.Principal, cartID, optionID string) (Priced, error) {
	c, err := a.read(ctx, p, cartID)
	if err != nil {
		return Priced{}, err
	}
	options, err := a.options(ctx, &c)
	if err != nil {
		return Priced{}, err
	}
	if _, ok := pick(options, optionID); !ok {
		return Priced{}, problem.Field("option_id", "unknown", "choose one of this cart's shipping options")
	}
	return a.change(ctx, p, cartID, func(c *cart.Cart) error {
		c.ShippingID = optionID
		return nil
	})
}

// Ordered takes what an order bought out of its cart; a cart that has ended has nothing left to take.
func (a *App) Ordered(tx sqlstore.Tx, cartID, orderID string, bought []cart.Piece) error {
	c, err := a.load(tx, cartID)
	if problem.Is(err, "cart_not_found") {
		return nil
	}
	if err != nil {
		return err
	}
	if !c.Ordered(orderID, bought) {
		return nil
	}
	c.Version++
	return a.save(tx, &c)
}

// Sweep removes carts that have ended, a batch at a time, and tells how many.
func (a *App) Sweep(ctx context.Context) (removed int64, err error) {
	for range sweepMax {
		var n int64
		err = a.Store.Update(ctx, func(tx sqlstore.Tx) error {
			n, err = tx.Exec(`DELETE FROM carts WHERE id IN (SELECT id FROM carts WHERE expires_at <= ? LIMIT ?)`,
				a.Clock.Now().UnixMicro(), sweepBatch)
			return err
		})
		if removed += n; err != nil || n < sweepBatch {
			break
		}
	}
	return removed, err
}

// change applies a change to the cart as it stands, and prices the result.
func (a *App) change(ctx context.Context, p auth.Principal, cartID string, apply func(*cart.Cart) error) (Priced, error) {
	var changed cart.Cart
	if err := mayTouch(p, cartID); err != nil {
		return Priced{}, err
	}
	err := a.Store.Update(ctx, func(tx sqlstore.Tx) error {
		c, err := a.load(tx, cartID)
		if err != nil {
			return err
		}
		if err := apply(&c); err != nil {
			return err
		}
		c.Version++
		c.ExpiresAt = a.Clock.Now().Add(a.TTL)
		changed = c
		return a.save(tx, &c)
	})
	if err != nil {
		return Priced{}, err
	}
	return a.price(ctx, changed)
}

func (a *App) read(ctx context.Context, p auth.Principal, cartID string) (c cart.Cart, err error) {
	if err := mayTouch(p, cartID); err != nil {
		return c, err
	}
	return a.latest(ctx, cartID)
}

// latest is the cart as it was last committed.
func (a *App) latest(ctx context.Context, cartID string) (c cart.Cart, err error) {
	if c, ok := a.recent.find(cartID); ok && c.ExpiresAt.After(a.Clock.Now()) {
		return c, nil
	}
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		c, err = a.load(tx, cartID)
		return err
	})
	return c, err
}

func mayTouch(p auth.Principal, cartID string) error {
	if p.Owns(cartID) || p.Staff() || p.Service() {
		return nil
	}
	return cartNotFound(cartID)
}

func cartNotFound(cartID string) error {
	return problem.Newf(problem.NotFound, "cart_not_found", "there is no cart %s that you may see", cartID)
}

func (a *App) load(tx sqlstore.Tx, cartID string) (c cart.Cart, err error) {
	var doc []byte
	err = tx.QueryRow(`SELECT doc FROM carts WHERE id = ? AND shop = ? AND expires_at > ?`,
		cartID, a.Shop, a.Clock.Now().UnixMicro()).Scan(&doc)
	if errors.Is(err, sqlstore.ErrNoRows) {
		return c, cartNotFound(cartID)
	}
	if err != nil {
		return c, fmt.Errorf("read cart %s: %w", cartID, err)
	}
	if err := json.Unmarshal(doc, &c); err != nil {
		return c, fmt.Errorf("decode cart %s: %w", cartID, err)
	}
	return c, nil
}

func (a *App) save(tx sqlstore.Tx, c *cart.Cart) error {
	doc, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode cart %s: %w", c.ID, err)
	}
	_, err = tx.Exec(`INSERT INTO carts (id, shop, expires_at, doc) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, doc = excluded.doc`,
		c.ID, a.Shop, c.ExpiresAt.UnixMicro(), doc)
	saved := *c
	tx.AfterCommit(func() { a.recent.keep(saved) })
	return err
}
