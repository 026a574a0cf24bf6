package wire

import (
	"context"

	"google.golang.org/grpc"

	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// Catalog asks the catalog room.
type Catalog struct{ client catalogv1.CatalogClient }

// NewCatalog asks catalog over a connection.
func NewCatalog(conn grpc.ClientConnInterface) Catalog {
	return Catalog{catalogv1.NewCatalogClient(conn)}
}

// Variants reads what is for sale of these SKUs.
func (c Catalog) Variants(ctx context.Context, skus []string) (map[string]cart.Line, error) {
	m, err := c.client.GetVariants(ctx, &catalogv1.GetVariantsRequest{Skus: skus})
	if err != nil {
		return nil, err
	}
	lines := make(map[string]cart.Line, len(m.Variants))
	for _, v := range m.Variants {
		if v.Active {
			lines[v.Sku] = cart.Line{SKU: v.Sku, ProductID: v.ProductId, Title: v.Title, TaxClass: v.TaxClass, WeightGrams: v.WeightGrams}
		}
	}
	return lines, nil
}

// Pricing asks the pricing room.
type Pricing struct{ client pricingv1.PricingClient }

// NewPricing asks pricing over a connection.
func NewPricing(conn grpc.ClientConnInterface) Pricing {
	return Pricing{pricingv1.NewPricingClient(conn)}
}

// Quote asks what lines cost together.
func (p Pricing) Quote(ctx context.Context, q app.QuoteRequest) (app.Quote, error) {
	req := &pricingv1.QuoteRequest{Channel: q.Channel, Currency: q.Currency, Country: q.Country, Lines: make([]*pricingv1.QuoteLine, len(q.Lines))}
	for i, l := range q.Lines {
		req.Lines[i] = &pricingv1.QuoteLine{Sku: l.SKU, Quantity: l.Quantity, TaxClass: l.TaxClass}
	}
	if q.Shipping != nil {
		req.Shipping = protomoney.From(*q.Shipping)
	}
	m, err := p.client.Quote(ctx, req)
	if err != nil {
		return app.Quote{}, err
	}
	return quote(m)
}

func quote(m *pricingv1.QuoteResponse) (app.Quote, error) {
	q := app.Quote{
		Channel: m.Channel, Currency: m.Currency, TaxInclusive: m.TaxInclusive, Unpriced: m.UnpricedSkus,
		Lines: make([]app.QuotedLine, len(m.Lines)),
	}
	var read amounts
	read.into(&q.Items, m.ItemsTotal)
	read.into(&q.Discount, m.DiscountTotal)
	read.into(&q.Shipping, m.Shipping)
	read.into(&q.ShippingTax, m.ShippingTax)
	read.into(&q.Tax, m.TaxTotal)
	read.into(&q.Total, m.Total)
	for i, l := range m.Lines {
		line := &q.Lines[i]
		line.TaxRate = l.TaxRate
		read.into(&line.UnitPrice, l.UnitPrice)
		read.into(&line.Discount, l.Discount)
		read.into(&line.Tax, l.Tax)
		read.into(&line.Total, l.Total)
	}
	return q, read.err
}

// amounts reads several amounts and keeps the first error.
type amounts struct{ err error }

func (a *amounts) into(to *money.Money, from *typev1.Money) {
	m, err := protomoney.To(from)
	if err != nil && a.err == nil {
		a.err = err
	}
	*to = m
}

// Stock asks the inventory room.
type Stock struct{ client inventoryv1.InventoryClient }

// NewStock asks inventory over a connection.
func NewStock(conn grpc.ClientConnInterface) Stock {
	return Stock{inventoryv1.NewInventoryClient(conn)}
}

// Availability reads how much of these SKUs can be sold now.
func (s Stock) Availability(ctx context.Context, skus []string) (map[string]app.Availability, error) {
	m, err := s.client.Availability(ctx, &inventoryv1.AvailabilityRequest{Skus: skus})
	if err != nil {
		return nil, err
	}
	stock := make(map[string]app.Availability, len(m.Items))
	for _, i := range m.Items {
		stock[i.Sku] = app.Availability{Pieces: i.Available, Backorder: i.Backorder, BackorderMax: i.BackorderLeft}
	}
	return stock, nil
}

// Shipping asks the shipping room.
type Shipping struct{ client shippingv1.ShippingClient }

// NewShipping asks shipping over a connection.
func NewShipping(conn grpc.ClientConnInterface) Shipping {
	return Shipping{shippingv1.NewShippingClient(conn)}
}

// Rates lists the ways to send a parcel, cheapest first.
func (s Shipping) Rates(ctx context.Context, p app.Parcel) ([]app.Option, error) {
	m, err := s.client.Rates(ctx, &shippingv1.RatesRequest{
		Country: p.Country, WeightGrams: int32(p.WeightGrams), Currency: p.Currency, Channel: p.Channel,
	})
	if err != nil {
		return nil, err
	}
	options := make([]app.Option, len(m.Options))
	for i, o := range m.Options {
		price, err := protomoney.To(o.Price)
		if err != nil {
			return nil, err
		}
		options[i] = app.Option{ID: o.Id, Name: o.Name, Price: price}
	}
	return options, nil
}

// People asks the users room.
type People struct{ client usersv1.UsersClient }

// NewPeople asks users over a connection.
func NewPeople(conn grpc.ClientConnInterface) People { return People{usersv1.NewUsersClient(conn)} }

// PutContact records who and where; what comes back is ids.
func (p People) PutContact(ctx context.Context, subjectID string, c app.ContactInput) (cart.Contact, error) {
	m, err := p.client.PutContact(ctx, &usersv1.PutContactRequest{SubjectId: subjectID, Email: c.Email, Address: &typev1.Address{
		Name: c.Name, Lines: c.Lines, City: c.City, Region: c.Region, PostalCode: c.PostalCode, Country: c.Country, Phone: c.Phone,
	}})
	if err != nil {
		return cart.Contact{}, err
	}
	return cart.Contact{SubjectID: m.SubjectId, AddressID: m.AddressId, Country: m.Country}, nil
}
