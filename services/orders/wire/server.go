// Package wire carries orders over the network: the service, the clients of the
// rooms that it asks, what it publishes and what it hears.
package wire

import (
	"context"
	"net/http"

	"google.golang.org/grpc"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/view"
)

// Server serves the contract of orders.
type Server struct {
	ordersv1.UnimplementedOrdersServer
	App    *app.App
	Orders *view.Orders
	Tokens *auth.Signer
	Bus    *bus.Bus
}

// Serve offers the contract to other rooms and, as REST, to the world.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge grpc.ClientConnInterface) error {
	ordersv1.RegisterOrdersServer(r, s)
	return ordersv1.RegisterOrdersHandlerClient(ctx, mux.ServeMux(), ordersv1.NewOrdersClient(edge))
}

// Checkout places an order and sees it through.
func (s *Server) Checkout(ctx context.Context, req *ordersv1.CheckoutRequest) (*ordersv1.Order, error) {
	p := auth.From(ctx)
	command, err := s.command(ctx, p, req)
	if err != nil {
		return nil, err
	}
	answer, err := s.App.Checkout(ctx, p, command)
	if err != nil {
		return nil, err
	}
	return s.placed(ctx, answer)
}

// placed is how an order that was placed is answered: 201, 202 while undecided, or why it was rejected.
func (s *Server) placed(ctx context.Context, answer app.Answer) (*ordersv1.Order, error) {
	if answer.Order.Rejection.Code != "" {
		return nil, refusal(&answer.Order)
	}
	m := orderMessage(&answer.Order)
	m.Token = s.Tokens.Token(m.Id)
	rpc.SetStatus(ctx, http.StatusCreated)
	if answer.Pending {
		rpc.SetStatus(ctx, http.StatusAccepted)
	}
	rpc.SetHeader(ctx, "Location", "/api/orders/"+m.Id)
	return m, nil
}

func (s *Server) command(ctx context.Context, p auth.Principal, req *ordersv1.CheckoutRequest) (c app.Command, err error) {
	c = app.Command{
		CartID: req.CartId, Provider: req.Payment.GetProvider(), Token: req.Payment.GetToken(), Meta: s.meta(ctx, p), Key: s.key(ctx, p, "checkout"),
	}
	if c.CartID == "" {
		return c, problem.Field("cart_id", "required", "name the cart to order from")
	}
	if c.Expected, err = optional("expected_total", req.ExpectedTotal); err != nil {
		return c, err
	}
	c.Credit, err = optional("payment.credit", req.Payment.GetCredit())
	return c, err
}

// optional reads an amount that need not be there.
func optional(field string, m *typev1.Money) (*money.Money, error) {
	if m == nil {
		return nil, nil
	}
	amount, err := money.Parse(m.Amount, m.Currency)
	if err != nil {
		return nil, malformed(field, err)
	}
	return &amount, nil
}

func malformed(field string, err error) error {
	return problem.Field(field, "malformed", `must be an amount such as {"currency": "GBP", "amount": "12.34"}`).Because(err)
}

// because is meta with a reason.
func (s *Server) because(ctx context.Context, p auth.Principal, reason string) eventlog.Meta {
	m := s.meta(ctx, p)
	m.Reason = reason
	return m
}

// meta is what every event of this call says of its making.
func (s *Server) meta(ctx context.Context, p auth.Principal) eventlog.Meta {
	return eventlog.Meta{
		Shop: s.App.Shop, Actor: p.String(), OnBehalfOf: rpc.OnBehalfOf(ctx), Correlation: rpc.RequestID(ctx), Time: s.App.Clock.Now(),
		Trace: eventlog.TraceOf(ctx),
	}
}

// GetOrder reads an order.
func (s *Server) GetOrder(ctx context.Context, req *ordersv1.GetOrderRequest) (*ordersv1.Order, error) {
	o, to, err := s.App.Get(ctx, auth.From(ctx), req.OrderId)
	if err != nil {
		return nil, err
	}
	m := orderMessage(&o)
	m.ShippingAddress = addressMessage(to)
	return m, nil
}

// GetHistory reads what happened to an order.
func (s *Server) GetHistory(ctx context.Context, req *ordersv1.GetHistoryRequest) (*ordersv1.GetHistoryResponse, error) {
	entries, err := s.App.History(ctx, req.OrderId)
	if err != nil {
		return nil, err
	}
	res := &ordersv1.GetHistoryResponse{}
	for _, e := range entries {
		res.Entries = append(res.Entries, &ordersv1.HistoryEntry{
			Type: e.Type, Version: int32(e.Version), At: timestamp(e.Meta.Time), Actor: e.Meta.Actor,
			Reason: e.Meta.Reason, Correlation: e.Meta.Correlation, Data: string(e.Data),
		})
	}
	return res, nil
}
