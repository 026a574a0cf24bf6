package app

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Bounds of a desk order.
const (
	piecesMax    = 1_000_000 // pieces of one line
	reasonMax    = 200       // characters of a reason
	metadataMax  = 20        // notes
	noteMax      = 100       // characters of a note's name, and of its text
	deskWaitMax  = 5 * time.Second
	deskDelivery = "desk" // the shipping option of orders whose way the desk names itself
)

// DeskOrder is an order as the sales desk writes it.
type DeskOrder struct {
	Command
	SubjectID, AddressID string
	Channel, Currency    string
	Lines                []QuoteLine
	ShippingName         string
	Shipping             *money.Money // free when nil
	PriceReason          string
	Reference            string
	SoldAt               time.Time
	Metadata             map[string]string
}

// PlaceDesk places an order on behalf of a customer and waits for its decision, as Checkout does. Who may is the
// contract's matter: a staff key with the scope "desk".
func (a *App) PlaceDesk(ctx context.Context, p auth.Principal, d DeskOrder) (Answer, error) {
	if !p.Staff() {
		return Answer{}, problem.New(problem.Forbidden, "staff_only", "only the sales desk may order on behalf of others")
	}
	cart, err := a.deskCart(ctx, &d)
	if err == nil {
		err = d.accept(&cart)
	}
	if err != nil {
		return a.explain(ctx, d.Command, err)
	}
	d.Meta.OnBehalfOf, d.Meta.Reason = "subject:"+d.SubjectID, d.PriceReason
	return a.placeAndWait(ctx, d.Command, cart)
}

// deskCart is what the desk wrote, priced, in the form of a cart.
func (a *App) deskCart(ctx context.Context, d *DeskOrder) (cart Cart, err error) {
	if err := d.check(); err != nil {
		return cart, err
	}
	soldAt, err := a.At("sold_at", d.SoldAt)
	if err != nil {
		return cart, err
	}
	ctx, cancel := context.WithTimeout(ctx, deskWaitMax)
	defer cancel()
	contact, found, err := a.People.Contact(ctx, d.SubjectID)
	switch {
	case err != nil:
		return cart, err
	case !found:
		return cart, problem.Field("subject_id", "unknown", "there is no such customer; make them first")
	}
	if d.AddressID != "" {
		to, known, err := a.People.Address(ctx, d.AddressID)
		switch {
		case err != nil:
			return cart, err
		case !known:
			return cart, problem.Field("address_id", "unknown", "there is no such address")
		}
		contact.AddressID, contact.Country = d.AddressID, to.Country
	}
	variants, err := a.variants(ctx, d)
	if err != nil {
		return cart, err
	}
	cart.Placed, err = a.Pricing.QuoteDesk(ctx, DeskQuote{
		Channel: d.Channel, Currency: d.Currency, Country: contact.Country, Lines: d.Lines, Shipping: d.Shipping,
	})
	if err != nil {
		return cart, err
	}
	cart.SubjectID, cart.AddressID, cart.Country = d.SubjectID, contact.AddressID, contact.Country
	cart.SoldAt, cart.Reference, cart.Metadata = soldAt, d.Reference, d.Metadata
	cart.Placed.Shipping.OptionID, cart.Placed.Shipping.Name = deskDelivery, d.ShippingName
	return cart, d.describe(&cart.Placed, variants)
}

// variants are what the catalog says of the lines; their tax classes go into the quote.
func (a *App) variants(ctx context.Context, d *DeskOrder) (map[string]Variant, error) {
	skus, seen := make([]string, 0, len(d.Lines)), make(map[string]bool, len(d.Lines))
	for _, l := range d.Lines {
		if !seen[l.SKU] {
			seen[l.SKU] = true
			skus = append(skus, l.SKU)
		}
	}
	variants, err := a.Catalog.Variants(ctx, skus)
	if err != nil {
		return nil, err
	}
	for i := range d.Lines {
		v, known := variants[d.Lines[i].SKU]
		if !known {
			return nil, problem.Field(fmt.Sprintf("lines[%d].sku", i), "unknown", "the catalog has no "+d.Lines[i].SKU+" for sale")
		}
		d.Lines[i].TaxClass = v.TaxClass
	}
	return variants, nil
}

// describe writes what the shopper would have read, and asks for a reason where a price differs from the list's.
func (d *DeskOrder) describe(p *order.Placed, variants map[string]Variant) error {
	own := false
	for i := range p.Lines {
		line := &p.Lines[i]
		v := variants[line.SKU]
		line.ProductID, line.Title = v.ProductID, v.Title
		if d.Lines[i].UnitPrice == nil || line.ListPrice != nil && *line.ListPrice == line.UnitPrice {
			line.ListPrice = nil
			continue
		}
		own = true
	}
	if !own {
		return nil
	}
	if d.PriceReason == "" {
		return problem.Field("price_reason", "required", "a price differs from the list's: say why, it is kept in the order's history")
	}
	p.PriceReason = d.PriceReason
	return nil
}

func (d *DeskOrder) check() error {
	switch {
	case !id.Valid(d.SubjectID):
		return problem.Field("subject_id", "required", "name the customer on whose behalf you order")
	case d.AddressID != "" && !id.Valid(d.AddressID):
		return problem.Field("address_id", "malformed", "must be the id of an address row")
	case len(d.Lines) == 0 || len(d.Lines) > order.LinesMax:
		return problem.Field("lines", "out_of_range", fmt.Sprintf("send 1 to %d lines", order.LinesMax))
	case utf8.RuneCountInString(d.PriceReason) > reasonMax:
		return problem.Field("price_reason", "too_long", fmt.Sprintf("at most %d characters", reasonMax))
	case d.Reference != "" && !id.Valid(d.Reference):
		return problem.Field("reference", "malformed", "1 to 64 letters, digits, dots, dashes or underscores")
	case utf8.RuneCountInString(d.ShippingName) > noteMax:
		return problem.Field("shipping.name", "too_long", fmt.Sprintf("at most %d characters", noteMax))
	case len(d.Metadata) > metadataMax:
		return problem.Field("metadata", "too_many", fmt.Sprintf("at most %d notes", metadataMax))
	}
	for name, note := range d.Metadata {
		if name == "" || utf8.RuneCountInString(name) > noteMax || utf8.RuneCountInString(note) > noteMax {
			return problem.Field("metadata", "out_of_range", fmt.Sprintf("names and notes have 1 to %d characters", noteMax))
		}
	}
	for i, l := range d.Lines {
		switch {
		case !id.Valid(l.SKU):
			return problem.Field(fmt.Sprintf("lines[%d].sku", i), "malformed", "must be a SKU")
		case l.Quantity < 1 || l.Quantity > piecesMax:
			return problem.Field(fmt.Sprintf("lines[%d].quantity", i), "out_of_range", fmt.Sprintf("1 to %d pieces", piecesMax))
		case l.UnitPrice != nil && l.UnitPrice.Minor < 0:
			return problem.Field(fmt.Sprintf("lines[%d].unit_price", i), "out_of_range", "from nothing upwards")
		}
	}
	return d.Command.check()
}
