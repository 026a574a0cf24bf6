package wire

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// ReleaseLines gives pieces of a confirmed order back.
func (s Stock) ReleaseLines(ctx context.Context, orderID, releaseID string, items []order.Item) (string, error) {
	req := &inventoryv1.ReleaseLinesRequest{OrderId: orderID, ReleaseId: releaseID, Lines: make([]*inventoryv1.HoldLine, len(items))}
	for i, item := range items {
		req.Lines[i] = &inventoryv1.HoldLine{Sku: item.SKU, Quantity: item.Quantity}
	}
	m, err := s.client.ReleaseLines(ctx, req)
	return m.GetOutcome(), err
}

// HoldCredit sets store credit aside.
func (p Payments) HoldCredit(ctx context.Context, c app.Credit) (order.Event, error) {
	m, err := p.client.HoldCredit(ctx, &paymentsv1.HoldCreditRequest{
		OrderId: c.OrderID, RunId: c.RunID, SubjectId: c.SubjectID, Amount: protomoney.Minor(c.Amount, c.Currency),
	})
	if refused(err) {
		return order.CreditRefused{Code: reason(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	if m.State != "held" && m.State != "captured" { // released since: this run cannot hold again
		return order.CreditRefused{Code: "credit_" + m.State}, nil
	}
	return order.CreditHeld{}, nil
}

// ReleaseCredit gives store credit back.
func (p Payments) ReleaseCredit(ctx context.Context, orderID, runID string) (string, error) {
	m, err := p.client.ReleaseCredit(ctx, &paymentsv1.ReleaseCreditRequest{OrderId: orderID, RunId: runID})
	return m.GetState(), err
}

// Capture takes money; nil while its outcome is not known.
func (p Payments) Capture(ctx context.Context, orderID, currency string, c order.Capture) (order.Event, error) {
	m, err := p.client.CapturePayment(ctx, &paymentsv1.CaptureRequest{
		OrderId: orderID, CaptureId: c.ID, Amount: protomoney.Minor(c.Amount, currency), Final: c.Final,
	})
	if refused(err) {
		return order.CaptureFailed{ID: c.ID, Code: reason(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	switch m.State {
	case "captured":
		return order.Captured{ID: c.ID, Amount: c.Amount}, nil
	case "failed":
		return order.CaptureFailed{ID: c.ID, Code: m.FailureCode}, nil
	case "unknown":
		return nil, nil
	}
	return nil, fmt.Errorf("capture order %s: payments answered the state %q", orderID, m.State)
}

// Refund gives money back; nil while its outcome is not known.
func (p Payments) Refund(ctx context.Context, orderID, currency string, r order.Refund) (order.Event, error) {
	m, err := p.client.RefundPayment(ctx, &paymentsv1.RefundRequest{
		OrderId: orderID, RefundId: r.ID, Amount: protomoney.Minor(r.Amount, currency), Reason: r.Reason,
	})
	if refused(err) {
		return order.RefundFailed{ID: r.ID, Code: reason(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	switch m.State {
	case "refunded":
		return order.Refunded{ID: r.ID, Amount: r.Amount}, nil
	case "failed":
		return order.RefundFailed{ID: r.ID, Code: m.FailureCode}, nil
	case "unknown":
		return nil, nil
	}
	return nil, fmt.Errorf("refund order %s: payments answered the state %q", orderID, m.State)
}

// Shipping asks the shipping room.
type Shipping struct{ client shippingv1.ShippingClient }

// NewShipping asks shipping over a connection.
func NewShipping(conn grpc.ClientConnInterface) Shipping {
	return Shipping{shippingv1.NewShippingClient(conn)}
}

// Stop ends the sending of what has not left.
func (s Shipping) Stop(ctx context.Context, orderID, reason string) ([]order.Piece, error) {
	m, err := s.client.Stop(ctx, &shippingv1.StopRequest{OrderId: orderID, Reason: reason})
	if err != nil {
		return nil, err
	}
	return pieces(m.Dispatched), nil
}

func pieces(lines []*shippingv1.ParcelLine) []order.Piece {
	out := make([]order.Piece, len(lines))
	for i, l := range lines {
		out[i] = order.Piece{Line: l.Line, Quantity: l.Quantity}
	}
	return out
}

// Catalog asks the catalog room.
type Catalog struct{ client catalogv1.CatalogClient }

// NewCatalog asks catalog over a connection.
func NewCatalog(conn grpc.ClientConnInterface) Catalog {
	return Catalog{catalogv1.NewCatalogClient(conn)}
}

// Variants reads what is for sale of these SKUs.
func (c Catalog) Variants(ctx context.Context, skus []string) (map[string]app.Variant, error) {
	m, err := c.client.GetVariants(ctx, &catalogv1.GetVariantsRequest{Skus: skus})
	if err != nil {
		return nil, err
	}
	variants := make(map[string]app.Variant, len(m.Variants))
	for _, v := range m.Variants {
		if v.Active {
			variants[v.Sku] = app.Variant{ProductID: v.ProductId, Title: v.Title, TaxClass: v.TaxClass}
		}
	}
	return variants, nil
}

// Pricing asks the pricing room.
type Pricing struct{ client pricingv1.PricingClient }

// NewPricing asks pricing over a connection.
func NewPricing(conn grpc.ClientConnInterface) Pricing {
	return Pricing{pricingv1.NewPricingClient(conn)}
}

// QuoteDesk prices the lines of a desk order.
func (p Pricing) QuoteDesk(ctx context.Context, q app.DeskQuote) (order.Placed, error) {
	req := &pricingv1.QuoteRequest{Channel: q.Channel, Currency: q.Currency, Country: q.Country, Lines: make([]*pricingv1.QuoteLine, len(q.Lines))}
	for i, l := range q.Lines {
		req.Lines[i] = &pricingv1.QuoteLine{Sku: l.SKU, Quantity: l.Quantity, TaxClass: l.TaxClass}
		if l.UnitPrice != nil {
			req.Lines[i].UnitPrice = protomoney.From(*l.UnitPrice)
		}
	}
	if q.Shipping != nil {
		req.Shipping = protomoney.From(*q.Shipping)
	}
	m, err := p.client.QuoteDesk(ctx, req)
	if err != nil {
		return order.Placed{}, err
	}
	if len(m.UnpricedSkus) > 0 {
		refusal := problem.New(problem.Unprocessable, "no_price", "the list has no price for some lines: give them one")
		for _, sku := range m.UnpricedSkus {
			refusal.On(sku, "no_price", "has no price in this channel")
		}
		return order.Placed{}, refusal
	}
	return quoted(m)
}

func quoted(m *pricingv1.QuoteResponse) (order.Placed, error) {
	p := order.Placed{
		Channel: m.Channel, Currency: m.Currency, Totals: order.Totals{TaxInclusive: m.TaxInclusive}, Lines: make([]order.Line, len(m.Lines)),
	}
	read := amounts{currency: m.Currency}
	read.into(&p.Totals.Items, m.ItemsTotal)
	read.into(&p.Totals.Discount, m.DiscountTotal)
	read.into(&p.Totals.Shipping, m.Shipping)
	read.into(&p.Totals.Tax, m.TaxTotal)
	read.into(&p.Totals.Total, m.Total)
	read.into(&p.Shipping.Price, m.Shipping)
	read.into(&p.Shipping.Tax, m.ShippingTax)
	for i, l := range m.Lines {
		line := &p.Lines[i]
		line.SKU, line.Quantity, line.TaxRate = l.Sku, l.Quantity, l.TaxRate
		read.into(&line.UnitPrice, l.UnitPrice)
		read.into(&line.Discount, l.Discount)
		read.into(&line.Tax, l.Tax)
		read.into(&line.Total, l.Total)
		if l.ListPrice != nil {
			line.ListPrice = new(int64)
			read.into(line.ListPrice, l.ListPrice)
		}
	}
	return p, read.err
}

// Contact reads what an order needs of a customer.
func (p People) Contact(ctx context.Context, subjectID string) (app.Contact, bool, error) {
	m, err := p.client.GetContact(ctx, &usersv1.GetContactRequest{SubjectId: subjectID})
	if q := problem.Of(err); q != nil && q.Kind == problem.NotFound {
		return app.Contact{}, false, nil
	}
	return app.Contact{AddressID: m.GetAddressId(), Country: m.GetCountry()}, err == nil, err
}
