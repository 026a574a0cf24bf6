package wire

import (
	"cmp"
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	cartsv1 "github.com/seed-21071466/souk/gen/souk/carts/v1"
	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Carts asks the carts room.
type Carts struct{ client cartsv1.CartsClient }

// NewCarts asks carts over a connection.
func NewCarts(conn grpc.ClientConnInterface) Carts { return Carts{cartsv1.NewCartsClient(conn)} }

// ForCheckout reads a cart, priced anew.
func (c Carts) ForCheckout(ctx context.Context, cartID string) (app.Cart, error) {
	m, err := c.client.GetForCheckout(ctx, &cartsv1.GetForCheckoutRequest{CartId: cartID})
	if err != nil {
		return app.Cart{}, err
	}
	cart := app.Cart{LastOrderID: m.LastOrderId, Placed: order.Placed{
		CartID: m.Id, CartVersion: m.Version, SubjectID: m.SubjectId, AddressID: m.AddressId, Country: m.Country,
		Channel: m.Channel, Currency: m.Currency, Metadata: m.Metadata,
		Shipping: order.Shipping{OptionID: m.Shipping.GetOptionId(), Name: m.Shipping.GetName()},
		Totals:   order.Totals{TaxInclusive: m.Totals.GetTaxInclusive()},
		Lines:    make([]order.Line, len(m.Lines)),
	}}
	return cart, readAmounts(&cart.Placed, m)
}

// readAmounts takes all amounts of a cart, in its one currency.
func readAmounts(p *order.Placed, m *cartsv1.CheckoutCart) (err error) {
	read := amounts{currency: m.Currency}
	t := m.Totals
	read.into(&p.Totals.Items, t.GetItems())
	read.into(&p.Totals.Discount, t.GetDiscount())
	read.into(&p.Totals.Shipping, t.GetShipping())
	read.into(&p.Totals.Tax, t.GetTax())
	read.into(&p.Totals.Total, t.GetTotal())
	read.into(&p.Shipping.Price, m.Shipping.GetPrice())
	read.into(&p.Shipping.Tax, m.ShippingTax)
	for i, l := range m.Lines {
		line := &p.Lines[i]
		line.SKU, line.ProductID, line.Title, line.Quantity, line.TaxRate = l.Sku, l.ProductId, l.Title, l.Quantity, l.TaxRate
		read.into(&line.UnitPrice, l.UnitPrice)
		read.into(&line.Discount, l.Discount)
		read.into(&line.Tax, l.Tax)
		read.into(&line.Total, l.Total)
	}
	return read.err
}

// Stock asks the inventory room.
type Stock struct{ client inventoryv1.InventoryClient }

// NewStock asks inventory over a connection.
func NewStock(conn grpc.ClientConnInterface) Stock {
	return Stock{inventoryv1.NewInventoryClient(conn)}
}

// Hold takes all lines, or says which are short.
func (s Stock) Hold(ctx context.Context, h app.Hold) ([]order.Short, error) {
	req := &inventoryv1.HoldRequest{
		OrderId: h.OrderID, RunId: h.RunID, Attempt: int32(h.Attempt), Deadline: timestamppb.New(h.Deadline),
		Lines: make([]*inventoryv1.HoldLine, len(h.Lines)),
	}
	for i, l := range h.Lines {
		req.Lines[i] = &inventoryv1.HoldLine{Sku: l.SKU, Quantity: l.Quantity}
	}
	_, err := s.client.Hold(ctx, req)
	p := problem.Of(err)
	if p == nil || p.Code != "sold_out" {
		return nil, err
	}
	if len(p.Violations) == 0 { // no lines named must not read as none short
		return nil, fmt.Errorf("hold order %s: inventory is short of lines that it does not name: %w", h.OrderID, err)
	}
	short := make([]order.Short, len(p.Violations))
	for i, v := range p.Violations {
		short[i] = order.Short{SKU: v.Field, Message: v.Message}
	}
	return short, nil
}

// Release ends the hold of a run.
func (s Stock) Release(ctx context.Context, orderID, runID string) (string, error) {
	m, err := s.client.Release(ctx, &inventoryv1.ReleaseRequest{OrderId: orderID, RunId: runID})
	return m.GetOutcome(), err
}

// Payments asks the payments room.
type Payments struct{ client paymentsv1.PaymentsClient }

// NewPayments asks payments over a connection.
func NewPayments(conn grpc.ClientConnInterface) Payments {
	return Payments{paymentsv1.NewPaymentsClient(conn)}
}

// Authorize asks for the money, or how that went.
func (p Payments) Authorize(ctx context.Context, a app.Authorization) (order.Event, error) {
	m, err := p.client.Authorize(ctx, &paymentsv1.AuthorizeRequest{
		OrderId: a.OrderID, RunId: a.RunID, Attempt: int32(a.Attempt), Amount: protomoney.Minor(a.Amount, a.Currency),
		Provider: a.Provider, Token: a.Token,
	})
	if refused(err) {
		return order.Declined{Attempt: a.Attempt, Code: reason(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	switch m.State {
	case "authorized":
		return order.Authorized{IntentID: m.Id, Attempt: a.Attempt, MultiCapture: m.MultiCapture}, nil
	case "declined", "failed", "voided":
		return order.Declined{IntentID: m.Id, Attempt: a.Attempt, Code: cmp.Or(m.DeclineCode, m.State)}, nil
	case "confirming", "unknown", "canceling":
		return order.Unknown{IntentID: m.Id, Attempt: a.Attempt}, nil
	}
	return nil, fmt.Errorf("authorize order %s: payments answered the state %q", a.OrderID, m.State)
}

// refused tells a refusal that stays one however often payments is asked, such as a
// provider that it does not have.
func refused(err error) bool {
	p := problem.Of(err)
	if p == nil {
		return false
	}
	switch p.Kind {
	case problem.Invalid, problem.PaymentRequired, problem.NotFound, problem.Conflict, problem.Unprocessable:
		return true
	}
	return false
}

// reason is the code of a refusal, that of its field if it names one.
func reason(err error) string {
	p := problem.Of(err)
	if len(p.Violations) > 0 {
		return p.Violations[0].Code
	}
	return p.Code
}

// Cancel undoes the payment of a run.
func (p Payments) Cancel(ctx context.Context, orderID, runID, reason string) (outcome string, done bool, err error) {
	m, err := p.client.Cancel(ctx, &paymentsv1.CancelRequest{OrderId: orderID, RunId: runID, Reason: reason})
	if err != nil {
		return "", false, err
	}
	switch m.State {
	case "voided", "failed", "declined", "none", "captured":
		return m.State, true, nil
	}
	return m.State, false, nil
}

// People asks the users room.
type People struct{ client usersv1.UsersClient }

// NewPeople asks users over a connection.
func NewPeople(conn grpc.ClientConnInterface) People { return People{usersv1.NewUsersClient(conn)} }

// Address reads an address row; an erased one is not there.
func (p People) Address(ctx context.Context, addressID string) (app.Address, bool, error) {
	m, err := p.client.GetAddress(ctx, &usersv1.GetAddressRequest{Id: addressID})
	if q := problem.Of(err); q != nil && q.Kind == problem.NotFound {
		return app.Address{}, false, nil
	}
	if err != nil {
		return app.Address{}, false, err
	}
	return app.Address{
		Name: m.Name, Lines: m.Lines, City: m.City, Region: m.Region, PostalCode: m.PostalCode, Country: m.Country, Phone: m.Phone,
	}, true, nil
}
