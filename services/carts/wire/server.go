// Package wire carries carts over the network: the service, the clients of the rooms
// that it asks, and what it hears.
package wire

import (
	"context"
	"net/http"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	cartsv1 "github.com/seed-21071466/souk/gen/souk/carts/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// Server serves the contract of carts.
type Server struct {
	cartsv1.UnimplementedCartsServer
	App    *app.App
	Tokens *auth.Signer
	Bus    *bus.Bus
}

// FollowsOrders is the consumer of what orders says.
const FollowsOrders = "carts.orders"

// Serve offers the contract to other rooms and, as REST, to the world.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge grpc.ClientConnInterface) error {
	cartsv1.RegisterCartsServer(r, s)
	return cartsv1.RegisterCartsHandlerClient(ctx, mux.ServeMux(), cartsv1.NewCartsClient(edge))
}

// CreateCart opens a cart and gives its token.
func (s *Server) CreateCart(ctx context.Context, req *cartsv1.CreateCartRequest) (*cartsv1.Cart, error) {
	opening := app.Opening{Channel: req.Channel, Currency: req.Currency, Metadata: req.Metadata, Lines: make([]cart.Piece, len(req.Lines))}
	for i, l := range req.Lines {
		opening.Lines[i] = cart.Piece{SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	p, err := s.App.Create(ctx, opening)
	if err != nil {
		return nil, err
	}
	m := cartMessage(&p)
	m.Token = s.Tokens.Token(m.Id)
	rpc.SetStatus(ctx, http.StatusCreated)
	rpc.SetHeader(ctx, "Location", "/api/carts/"+m.Id)
	return m, nil
}

// GetCart reads a cart. It gives no ETag: prices and stock change without the cart's
// version, and a shopper who is told that the price has changed must not be answered 304.
func (s *Server) GetCart(ctx context.Context, req *cartsv1.GetCartRequest) (*cartsv1.Cart, error) {
	p, err := s.App.Get(ctx, auth.From(ctx), req.CartId)
	if err != nil {
		return nil, err
	}
	return cartMessage(&p), nil
}

// PutLine sets how many pieces of a SKU the cart has.
func (s *Server) PutLine(ctx context.Context, req *cartsv1.PutLineRequest) (*cartsv1.Cart, error) {
	return answer(ctx)(s.App.PutLine(ctx, auth.From(ctx), req.CartId, cart.Piece{SKU: req.Sku, Quantity: req.Quantity}))
}

// DeleteLine removes a line.
func (s *Server) DeleteLine(ctx context.Context, req *cartsv1.DeleteLineRequest) (*cartsv1.Cart, error) {
	return answer(ctx)(s.App.PutLine(ctx, auth.From(ctx), req.CartId, cart.Piece{SKU: req.Sku}))
}

// PutAddress sets who receives the order and where.
func (s *Server) PutAddress(ctx context.Context, req *cartsv1.PutAddressRequest) (*cartsv1.Cart, error) {
	a := req.Address
	return answer(ctx)(s.App.PutAddress(ctx, auth.From(ctx), req.CartId, app.ContactInput{
		Email: req.Email, Name: a.GetName(), Lines: a.GetLines(), City: a.GetCity(), Region: a.GetRegion(),
		PostalCode: a.GetPostalCode(), Country: a.GetCountry(), Phone: a.GetPhone(),
	}))
}

// ListShippingOptions lists the ways to send this cart.
func (s *Server) ListShippingOptions(ctx context.Context, req *cartsv1.ListShippingOptionsRequest) (*cartsv1.ListShippingOptionsResponse, error) {
	options, err := s.App.Options(ctx, auth.From(ctx), req.CartId)
	if err != nil {
		return nil, err
	}
	res := &cartsv1.ListShippingOptionsResponse{}
	for _, o := range options {
		res.Options = append(res.Options, choiceMessage(&o))
	}
	return res, nil
}

// PutShipping chooses one of them.
func (s *Server) PutShipping(ctx context.Context, req *cartsv1.PutShippingRequest) (*cartsv1.Cart, error) {
	return answer(ctx)(s.App.PutShipping(ctx, auth.From(ctx), req.CartId, req.OptionId))
}

// GetForCheckout reads a cart as an order freezes it.
func (s *Server) GetForCheckout(ctx context.Context, req *cartsv1.GetForCheckoutRequest) (*cartsv1.CheckoutCart, error) {
	p, err := s.App.ForCheckout(ctx, req.CartId)
	if err != nil {
		return nil, err
	}
	return checkoutMessage(&p), nil
}

// Findings checks the room's own rows: a cart is a document without a second copy, so only its consumer can lag.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	res := &typev1.FindingsResponse{}
	standings, err := s.Bus.Standings(ctx, FollowsOrders)
	for _, c := range standings {
		res.Consumers = append(res.Consumers, &typev1.ConsumerPosition{
			Consumer: c.Consumer, Source: c.Source, Position: c.Position, Letters: int32(c.Letters),
		})
	}
	return res, err
}

// answer gives a changed cart with its version as the ETag.
func answer(ctx context.Context) func(app.Priced, error) (*cartsv1.Cart, error) {
	return func(p app.Priced, err error) (*cartsv1.Cart, error) {
		if err != nil {
			return nil, err
		}
		rpc.SetETag(ctx, strconv.Itoa(int(p.Cart.Version)))
		return cartMessage(&p), nil
	}
}

// Heard is what carts hears of orders.
func Heard() map[string]app.Hear {
	return map[string]app.Hear{
		"souk.orders.v1.OrderConfirmed": func(ev bus.Event) (app.Bought, error) {
			var m ordersv1.OrderConfirmed
			if err := proto.Unmarshal(ev.Data, &m); err != nil {
				return app.Bought{}, err
			}
			bought := app.Bought{CartID: m.CartId, OrderID: m.OrderId, Place: ev.Position, Pieces: make([]cart.Piece, len(m.Items))}
			for i, item := range m.Items {
				bought.Pieces[i] = cart.Piece{SKU: item.Sku, Quantity: item.Quantity}
			}
			return bought, nil
		},
	}
}
