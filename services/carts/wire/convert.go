package wire

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	cartsv1 "github.com/seed-21071466/souk/gen/souk/carts/v1"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/carts/app"
)

func cartMessage(p *app.Priced) *cartsv1.Cart {
	c := &p.Cart
	m := &cartsv1.Cart{
		Id: c.ID, Version: c.Version, Channel: c.Channel, Currency: c.Currency, SubjectId: c.Contact.SubjectID,
		AddressId: c.Contact.AddressID, Country: c.Contact.Country, Missing: p.Missing, Metadata: c.Metadata,
		LastOrderId: c.LastOrderID, ExpiresAt: timestamppb.New(c.ExpiresAt), Lines: make([]*cartsv1.CartLine, len(c.Lines)),
	}
	for i := range c.Lines {
		m.Lines[i] = lineMessage(p, i)
	}
	if p.Shipping != nil {
		m.Shipping = choiceMessage(p.Shipping)
	}
	if len(p.Quote.Unpriced) == 0 {
		m.Totals = totalsMessage(&p.Quote)
	}
	return m
}

func lineMessage(p *app.Priced, i int) *cartsv1.CartLine {
	l := p.Cart.Lines[i]
	m := &cartsv1.CartLine{
		Sku: l.SKU, ProductId: l.ProductID, Title: l.Title, Quantity: l.Quantity, Problem: p.Trouble(i),
		Available: max(0, min(p.Stock[l.SKU].Pieces, l.Quantity)),
	}
	if m.Problem != "no_price" && i < len(p.Quote.Lines) {
		q := &p.Quote.Lines[i]
		m.UnitPrice, m.Total = protomoney.From(q.UnitPrice), protomoney.From(q.Total)
	}
	return m
}

func totalsMessage(q *app.Quote) *cartsv1.Totals {
	return &cartsv1.Totals{
		Items: protomoney.From(q.Items), Discount: protomoney.From(q.Discount), Shipping: protomoney.From(q.Shipping),
		Tax: protomoney.From(q.Tax), Total: protomoney.From(q.Total), TaxInclusive: q.TaxInclusive,
	}
}

func choiceMessage(o *app.Option) *cartsv1.ShippingChoice {
	return &cartsv1.ShippingChoice{OptionId: o.ID, Name: o.Name, Price: protomoney.From(o.Price)}
}

func checkoutMessage(p *app.Priced) *cartsv1.CheckoutCart {
	c := &p.Cart
	m := &cartsv1.CheckoutCart{
		Id: c.ID, Version: c.Version, Channel: c.Channel, Currency: c.Currency, SubjectId: c.Contact.SubjectID,
		AddressId: c.Contact.AddressID, Country: c.Contact.Country, LastOrderId: c.LastOrderID, Metadata: c.Metadata,
		Shipping: choiceMessage(p.Shipping), ShippingTax: protomoney.From(p.Quote.ShippingTax), Totals: totalsMessage(&p.Quote),
		Lines: make([]*cartsv1.CheckoutLine, len(c.Lines)),
	}
	for i, l := range c.Lines {
		q := &p.Quote.Lines[i]
		m.Lines[i] = &cartsv1.CheckoutLine{
			Sku: l.SKU, ProductId: l.ProductID, Title: l.Title, Quantity: l.Quantity, WeightGrams: l.WeightGrams, TaxRate: q.TaxRate,
			UnitPrice: protomoney.From(q.UnitPrice), Discount: protomoney.From(q.Discount), Tax: protomoney.From(q.Tax), Total: protomoney.From(q.Total),
		}
	}
	return m
}
