package app

import (
	"context"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// Priced is a cart with what it costs and whether it can be had, as of now.
type Priced struct {
	Cart     cart.Cart
	Quote    Quote
	Stock    map[string]Availability
	Shipping *Option // the chosen one, at its present price; nil when none is chosen or it is no longer offered
	Missing  []string
}

// Trouble says why a line cannot be bought as it stands; "" when it can.
func (p *Priced) Trouble(i int) string {
	line := p.Cart.Lines[i]
	for _, sku := range p.Quote.Unpriced {
		if sku == line.SKU {
			return "no_price"
		}
	}
	stock := p.Stock[line.SKU]
	switch {
	case stock.Covers(line.Quantity):
		return ""
	case stock.Pieces <= 0 && !stock.Backorder:
		return "sold_out"
	}
	return "insufficient_stock"
}

// price asks the other rooms what the cart costs now.
func (a *App) price(ctx context.Context, c cart.Cart) (p Priced, err error) {
	return a.priceKnowing(ctx, c, offer{})
}

// priceKnowing is price after shipping has answered for a parcel that may still be this cart's.
func (a *App) priceKnowing(ctx context.Context, c cart.Cart, offered offer) (p Priced, err error) {
	p = Priced{Cart: c, Missing: c.Missing()}
	if p.Shipping, err = a.chosen(ctx, &c, offered); err != nil {
		return p, err
	}
	if c.ShippingID != "" && p.Shipping == nil {
		p.Missing = append(p.Missing, "shipping")
	}
	request := QuoteRequest{Channel: c.Channel, Currency: c.Currency, Country: c.Contact.Country, Lines: c.Lines}
	if p.Shipping != nil {
		request.Shipping = &p.Shipping.Price
	}
	if p.Quote, err = a.Pricing.Quote(ctx, request); err != nil {
		return p, err
	}
	if p.Stock, err = a.stock(ctx, &c); err != nil {
		return p, err
	}
	p.complain()
	return p, nil
}

func (a *App) chosen(ctx context.Context, c *cart.Cart, offered offer) (_ *Option, err error) {
	if c.ShippingID == "" {
		return nil, nil
	}
	if offered.parcel != parcelOf(c) {
		if offered, err = a.offers(ctx, c); err != nil {
			return nil, err
		}
	}
	if o, ok := pick(offered.options, c.ShippingID); ok {
		return &o, nil
	}
	return nil, nil
}

func pick(options []Option, id string) (Option, bool) {
	for _, o := range options {
		if o.ID == id {
			return o, true
		}
	}
	return Option{}, false
}

func (a *App) stock(ctx context.Context, c *cart.Cart) (map[string]Availability, error) {
	if len(c.Lines) == 0 {
		return nil, nil
	}
	skus := make([]string, len(c.Lines))
	for i, l := range c.Lines {
		skus[i] = l.SKU
	}
	return a.Stock.Availability(ctx, skus)
}

// complain adds to what is missing what the other rooms say against the lines.
func (p *Priced) complain() {
	price, stock := false, false
	for i := range p.Cart.Lines {
		switch p.Trouble(i) {
		case "":
		case "no_price":
			price = true
		default:
			stock = true
		}
	}
	if price {
		p.Missing = append(p.Missing, "price")
	}
	if stock {
		p.Missing = append(p.Missing, "stock")
	}
}

// ForCheckout reads a cart as an order freezes it: with what the catalog says now and
// every amount. Whether the pieces are left is for inventory to decide, when it holds them.
func (a *App) ForCheckout(ctx context.Context, cartID string) (p Priced, err error) {
	if p.Cart, err = a.Store.Load(ctx, cartID); err != nil {
		return p, err
	}
	if missing := p.Cart.Missing(); missing != nil {
		return p, incomplete(&p.Cart, missing)
	}
	if err := a.refresh(ctx, &p.Cart); err != nil {
		return p, err
	}
	if p, err = a.freeze(ctx, p.Cart); err != nil {
		return p, err
	}
	if p.Missing != nil {
		return p, incomplete(&p.Cart, p.Missing)
	}
	return p, nil
}

// refresh takes what the catalog says now of every line.
func (a *App) refresh(ctx context.Context, c *cart.Cart) error {
	skus := make([]string, len(c.Lines))
	for i, l := range c.Lines {
		skus[i] = l.SKU
	}
	known, err := a.Catalog.Variants(ctx, skus)
	if err != nil {
		return err
	}
	refusal := problem.New(problem.Conflict, "not_for_sale", "something in the cart is no longer for sale; remove it")
	for i, l := range c.Lines {
		line, ok := known[l.SKU]
		if !ok {
			refusal.On(l.SKU, "not_for_sale", "no longer for sale")
			continue
		}
		line.Quantity = l.Quantity
		c.Lines[i] = line
	}
	if refusal.Violations != nil {
		return refusal
	}
	return nil
}

func (a *App) freeze(ctx context.Context, c cart.Cart) (p Priced, err error) {
	p.Cart = c
	if p.Shipping, err = a.chosen(ctx, &c, offer{}); err != nil {
		return p, err
	}
	if p.Shipping == nil {
		p.Missing = []string{"shipping"}
		return p, nil
	}
	p.Quote, err = a.Pricing.Quote(ctx, QuoteRequest{
		Channel: c.Channel, Currency: c.Currency, Country: c.Contact.Country, Lines: c.Lines, Shipping: &p.Shipping.Price,
	})
	if len(p.Quote.Unpriced) > 0 {
		p.Missing = []string{"price"}
	}
	return p, err
}

// incomplete names what is missing; a cart that was emptied by an order names the order.
func incomplete(c *cart.Cart, missing []string) error {
	p := problem.New(problem.Unprocessable, "cart_incomplete", "the cart cannot be ordered yet")
	for _, m := range missing {
		p.On(m, "missing", remedy[m])
	}
	if len(c.Lines) == 0 && c.LastOrderID != "" {
		p.With("last_order", c.LastOrderID)
	}
	return p
}

var remedy = map[string]string{
	"lines":    "put something into the cart",
	"address":  "put the address to send it to",
	"shipping": "choose one of the shipping options",
	"price":    "remove the lines that have no price here",
	"stock":    "lower the quantities to what is available",
}
