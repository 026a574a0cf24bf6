package wire

import (
	"context"
	"fmt"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/app"
)

// PlaceDeskOrder places an order on behalf of a customer and sees it through.
func (s *Server) PlaceDeskOrder(ctx context.Context, req *ordersv1.PlaceDeskOrderRequest) (*ordersv1.Order, error) {
	p := auth.From(ctx)
	d, err := s.deskOrder(ctx, p, req)
	if err != nil {
		return nil, err
	}
	answer, err := s.App.PlaceDesk(ctx, p, d)
	if err != nil {
		return nil, err
	}
	return s.placed(ctx, answer)
}

func (s *Server) deskOrder(ctx context.Context, p auth.Principal, req *ordersv1.PlaceDeskOrderRequest) (d app.DeskOrder, err error) {
	d = app.DeskOrder{
		Command:   app.Command{Key: s.key(ctx, p, "desk"), Meta: s.meta(ctx, p), Provider: req.Payment.GetProvider(), Token: req.Payment.GetToken()},
		SubjectID: req.SubjectId, AddressID: req.AddressId, Channel: req.Channel, Currency: req.Currency,
		Lines: make([]app.QuoteLine, len(req.Lines)), ShippingName: req.Shipping.GetName(),
		PriceReason: req.PriceReason, Reference: req.Reference, SoldAt: timeOf(req.SoldAt), Metadata: req.Metadata,
	}
	if d.Expected, err = optional("expected_total", req.ExpectedTotal); err != nil {
		return d, err
	}
	if d.Credit, err = optional("payment.credit", req.Payment.GetCredit()); err != nil {
		return d, err
	}
	if d.Shipping, err = optional("shipping.price", req.Shipping.GetPrice()); err != nil {
		return d, err
	}
	if d.Shipping != nil && d.Shipping.Minor < 0 {
		return d, problem.Field("shipping.price", "out_of_range", "from nothing upwards")
	}
	for i, l := range req.Lines {
		d.Lines[i] = app.QuoteLine{SKU: l.GetSku(), Quantity: l.GetQuantity()}
		if l.GetUnitPrice() == nil {
			continue
		}
		price, err := money.Parse(l.UnitPrice.Amount, l.UnitPrice.Currency)
		if err != nil {
			return d, malformed(fmt.Sprintf("lines[%d].unit_price", i), err)
		}
		d.Lines[i].UnitPrice = &price
	}
	return d, nil
}
