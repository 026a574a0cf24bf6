package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// orderMessage is an order as its owner and staff see it.
func orderMessage(o *order.Order) *ordersv1.Order {
	c := o.Currency
	m := &ordersv1.Order{
		Id: o.ID, State: string(o.Status), Channel: o.Channel, Currency: c, PaymentState: o.PaymentState(), FulfilmentState: o.FulfilmentState(),
		Credit: protomoney.Minor(o.Credit, c), Captured: protomoney.Minor(o.Taken(), c), Refunded: protomoney.Minor(o.GivenBack(), c),
		Reference: o.Reference, SoldAt: timestamp(o.SoldAt), Country: o.Country, Cancellation: o.Cancellation.Code,
		CartId: o.CartID, SubjectId: o.SubjectID, Metadata: o.Metadata,
		PlacedAt: timestamp(o.PlacedAt), DecidedAt: timestamp(o.DecidedAt),
		Lines: make([]*ordersv1.OrderLine, len(o.Lines)),
		Shipping: &ordersv1.OrderShipping{
			OptionId: o.Shipping.OptionID, Name: o.Shipping.Name, Price: protomoney.Minor(o.Shipping.Price, c), Tax: protomoney.Minor(o.Shipping.Tax, c),
		},
		Totals: &ordersv1.OrderTotals{
			Items: protomoney.Minor(o.Totals.Items, c), Discount: protomoney.Minor(o.Totals.Discount, c), Shipping: protomoney.Minor(o.Totals.Shipping, c),
			Tax: protomoney.Minor(o.Totals.Tax, c), Total: protomoney.Minor(o.Totals.Total, c), TaxInclusive: o.Totals.TaxInclusive,
		},
	}
	for i := range o.Lines {
		m.Lines[i] = LineMessage(o, i)
	}
	for i := range o.Captures {
		m.Captures = append(m.Captures, captureMessage(c, &o.Captures[i]))
	}
	for i := range o.Refunds {
		m.Refunds = append(m.Refunds, refundMessage(o.ID, c, &o.Refunds[i]))
	}
	for i := range o.Returns {
		m.Returns = append(m.Returns, ReturnMessage(o, &o.Returns[i]))
	}
	if o.Status == order.Rejected {
		m.Rejection = rejectionMessage(&o.Rejection)
	}
	return m
}

// LineMessage is the line at i as its owner and staff see it.
func LineMessage(o *order.Order, i int) *ordersv1.OrderLine {
	l, c := &o.Lines[i], o.Currency
	m := &ordersv1.OrderLine{
		Number: int32(i) + 1, Sku: l.SKU, ProductId: l.ProductID, Title: l.Title, Quantity: l.Quantity, TaxRate: l.TaxRate,
		UnitPrice: protomoney.Minor(l.UnitPrice, c), Discount: protomoney.Minor(l.Discount, c), Tax: protomoney.Minor(l.Tax, c), Total: protomoney.Minor(l.Total, c),
	}
	if i < len(o.Parts) {
		p := o.Parts[i]
		m.Dispatched, m.Canceled, m.Returning, m.Returned = p.Dispatched, p.Canceled, p.Returning, p.Returned
	}
	if l.ListPrice != nil {
		m.ListPrice = protomoney.Minor(*l.ListPrice, c)
	}
	return m
}

// moneyState is the word of a capture or a refund.
func moneyState(s order.MoneyState, done string) string {
	switch s {
	case order.MoneyDone:
		return done
	case order.MoneyDropped:
		return "canceled"
	}
	return string(s)
}

func captureMessage(currency string, c *order.Capture) *ordersv1.OrderCapture {
	return &ordersv1.OrderCapture{
		Id: c.ID, State: moneyState(c.State, "captured"), Amount: protomoney.Minor(c.Amount, currency), FailureCode: c.Code,
	}
}

func refundMessage(orderID, currency string, r *order.Refund) *ordersv1.OrderRefund {
	return &ordersv1.OrderRefund{
		Id: r.ID, OrderId: orderID, State: moneyState(r.State, "refunded"), Amount: protomoney.Minor(r.Amount, currency),
		ReturnId: r.ReturnID, Reason: r.Reason, RequestedAt: timestamp(r.At),
	}
}

// ReturnMessage is a return of an order as its owner and staff see it.
func ReturnMessage(o *order.Order, r *order.Return) *ordersv1.Return {
	m := &ordersv1.Return{
		Id: r.ID, OrderId: o.ID, State: string(r.State), Refund: protomoney.Minor(r.Refund, o.Currency), Reason: r.Reason,
		Reference: r.Reference, OpenedAt: timestamp(r.OpenedAt), ReceivedAt: timestamp(r.ReceivedAt), SubjectId: o.SubjectID,
	}
	for _, l := range r.Lines {
		m.Lines = append(m.Lines, &ordersv1.ReturnLine{
			Line: l.Line, Sku: l.SKU, Quantity: l.Quantity, WriteOff: l.WriteOff, Refund: protomoney.Minor(l.Refund, o.Currency),
		})
	}
	for i := range o.Refunds {
		if o.Refunds[i].ReturnID == r.ID {
			m.RefundId = o.Refunds[i].ID
		}
	}
	return m
}

func rejectionMessage(r *order.Rejection) *ordersv1.Rejection {
	m := &ordersv1.Rejection{Code: r.Code, Message: r.Message}
	for _, l := range r.Lines {
		m.Skus = append(m.Skus, l.SKU)
	}
	return m
}

func addressMessage(a *app.Address) *typev1.Address {
	if a == nil {
		return nil
	}
	return &typev1.Address{
		Name: a.Name, Lines: a.Lines, City: a.City, Region: a.Region, PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone,
	}
}

// refusal is what a checkout says of a rejected order: which line, which payment, what to do.
func refusal(o *order.Order) error {
	kind := problem.Conflict
	if o.Rejection.Code == "payment_declined" {
		kind = problem.PaymentRequired
	}
	p := problem.New(kind, o.Rejection.Code, o.Rejection.Message).With("order", o.ID)
	for _, l := range o.Rejection.Lines {
		p.On(l.SKU, "sold_out", l.Message)
	}
	if kind == problem.PaymentRequired && o.Rejection.Detail != "" {
		p.With("decline_code", o.Rejection.Detail)
	}
	return p
}

// amounts reads several amounts of one currency, in minor units, and keeps the first error.
type amounts struct {
	currency string
	err      error
}

func (a *amounts) into(to *int64, from *typev1.Money) {
	if from == nil || a.err != nil {
		return
	}
	if from.Currency != a.currency {
		a.err = problem.Newf(problem.Internal, "currency_mismatch", "an amount in %s in an order in %s", from.Currency, a.currency)
		return
	}
	read, err := protomoney.To(from)
	*to, a.err = read.Minor, err
}
