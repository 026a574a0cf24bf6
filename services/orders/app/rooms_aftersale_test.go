package app_test

import (
	"context"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// afterSale is what the other rooms keep of confirmed orders.
type afterSale struct {
	wallet   int64             // of the one customer
	credits  map[string]string // by order: "held", "released", "tombstone"
	stops    map[string][]order.Piece
	parcels  map[string][]order.Piece // what has left, by order
	released map[string]int32         // pieces given back by line, by order
	captured map[string]move          // by id
	refunds  map[string]move          // by id
	refuse   map[string]int           // by call: how often a provider still refuses
	silent   map[string]int           // by call: how often the outcome stays unknown
}

// move is money of an order.
type move struct {
	orderID string
	amount  int64
	times   int // how often the provider moved it
}

func newAftersale() afterSale {
	return afterSale{
		credits: map[string]string{}, stops: map[string][]order.Piece{}, parcels: map[string][]order.Piece{}, released: map[string]int32{},
		captured: map[string]move{}, refunds: map[string]move{}, refuse: map[string]int{}, silent: map[string]int{},
	}
}

func (a *afterSale) taken(orderID string) (sum int64) {
	for _, m := range a.captured {
		if m.orderID == orderID {
			sum += m.amount
		}
	}
	return sum
}

func (a *afterSale) givenBack(orderID string) (sum int64) {
	for _, m := range a.refunds {
		if m.orderID == orderID {
			sum += m.amount
		}
	}
	return sum
}

// HoldCredit is payments: once an order, refused after its release or when the wallet does not cover it.
func (r rooms) HoldCredit(ctx context.Context, c app.Credit) (fact order.Event, err error) {
	err = r.call(ctx, "credit", func() error {
		switch {
		case r.w.credits[c.OrderID] == "held":
		case r.w.credits[c.OrderID] != "" || r.w.wallet < c.Amount:
			fact = order.CreditRefused{Code: "insufficient_credit"}
			return nil
		default:
			r.w.credits[c.OrderID] = "held"
			r.w.wallet -= c.Amount
		}
		fact = order.CreditHeld{}
		return nil
	})
	return fact, err
}

// ReleaseCredit is payments: the credit of the tests is 300 minor units.
func (r rooms) ReleaseCredit(ctx context.Context, orderID, _ string) (outcome string, err error) {
	err = r.call(ctx, "give_back", func() error {
		switch r.w.credits[orderID] {
		case "held":
			r.w.credits[orderID], outcome = "released", "released"
			r.w.wallet += 300
		case "":
			r.w.credits[orderID], outcome = "tombstone", "none"
		default:
			outcome = "released"
		}
		return nil
	})
	return outcome, err
}

// Capture is payments: once an id, refused once the payment was canceled.
func (r rooms) Capture(ctx context.Context, orderID, _ string, c order.Capture) (fact order.Event, err error) {
	err = r.call(ctx, "capture", func() error {
		switch p := r.w.payments[orderID]; {
		case r.w.refuse["capture"] > 0:
			r.w.refuse["capture"]--
			fact = order.CaptureFailed{ID: c.ID, Code: "capture_refused"}
			return nil
		case r.w.captured[c.ID].times > 0:
		case p != nil && p.state != "authorized":
			fact = order.CaptureFailed{ID: c.ID, Code: "payment_canceled"}
			return nil
		default:
			r.w.captured[c.ID] = move{orderID, c.Amount, 1}
		}
		if r.w.silent["capture"] > 0 {
			r.w.silent["capture"]--
			return nil
		}
		fact = order.Captured{ID: c.ID, Amount: c.Amount}
		return nil
	})
	return fact, err
}

// Refund is payments: once an id, and never more than was captured.
func (r rooms) Refund(ctx context.Context, orderID, _ string, f order.Refund) (fact order.Event, err error) {
	err = r.call(ctx, "refund", func() error {
		switch {
		case r.w.refuse["refund"] > 0:
			r.w.refuse["refund"]--
			fact = order.RefundFailed{ID: f.ID, Code: "refund_refused"}
			return nil
		case r.w.refunds[f.ID].times > 0:
		case r.w.taken(orderID)-r.w.givenBack(orderID) < f.Amount:
			fact = order.RefundFailed{ID: f.ID, Code: "not_refundable"}
			return nil
		default:
			r.w.refunds[f.ID] = move{orderID, f.Amount, 1}
		}
		if r.w.silent["refund"] > 0 {
			r.w.silent["refund"]--
			return nil
		}
		fact = order.Refunded{ID: f.ID, Amount: f.Amount}
		return nil
	})
	return fact, err
}

// Stop is shipping: what had left when it was asked first is its answer for ever.
func (r rooms) Stop(ctx context.Context, orderID, _ string) (left []order.Piece, err error) {
	err = r.call(ctx, "stop", func() error {
		if _, stopped := r.w.stops[orderID]; !stopped {
			r.w.stops[orderID] = append([]order.Piece{}, r.w.parcels[orderID]...)
		}
		left = r.w.stops[orderID]
		return nil
	})
	return left, err
}

// ReleaseLines is inventory: once a release.
func (r rooms) ReleaseLines(ctx context.Context, orderID, releaseID string, items []order.Item) (outcome string, err error) {
	err = r.call(ctx, "release_lines", func() error {
		key := orderID + "/" + releaseID
		if _, done := r.w.released[key]; done {
			outcome = "already_released"
			return nil
		}
		for _, i := range items {
			r.w.released[key] += i.Quantity
		}
		outcome = "released"
		return nil
	})
	return outcome, err
}

// Contact is users.
func (r rooms) Contact(_ context.Context, subjectID string) (app.Contact, bool, error) {
	return app.Contact{AddressID: "adr_1", Country: "GB"}, subjectID == "17850", nil
}

// Variants is the catalog: it has two SKUs.
func (r rooms) Variants(_ context.Context, skus []string) (map[string]app.Variant, error) {
	all := map[string]app.Variant{}
	for _, sku := range skus {
		if sku == "85123A" || sku == "71053" {
			all[sku] = app.Variant{ProductID: sku, Title: "Title of " + sku, TaxClass: "standard"}
		}
	}
	return all, nil
}

// QuoteDesk is pricing, without tax: the list asks 255 for everything.
func (r rooms) QuoteDesk(_ context.Context, q app.DeskQuote) (p order.Placed, err error) {
	p = order.Placed{Channel: "web", Currency: "GBP", Totals: order.Totals{TaxInclusive: true}}
	for _, l := range q.Lines {
		list, unit := int64(255), int64(255)
		line := order.Line{SKU: l.SKU, Quantity: l.Quantity, TaxRate: "0"}
		if l.UnitPrice != nil {
			if l.UnitPrice.Currency != "GBP" {
				return p, problem.Field("lines", "currency_mismatch", "the channel is in GBP")
			}
			unit, line.ListPrice = l.UnitPrice.Minor, &list
		}
		line.UnitPrice, line.Total = unit, unit*int64(l.Quantity)
		p.Totals.Items += line.Total
		p.Lines = append(p.Lines, line)
	}
	if q.Shipping != nil {
		p.Shipping.Price, p.Totals.Shipping = q.Shipping.Minor, q.Shipping.Minor
	}
	p.Totals.Total = p.Totals.Items + p.Totals.Shipping
	return p, nil
}

func gbp(minor int64) *money.Money {
	m := money.Of(minor, "GBP")
	return &m
}
