// Package wire carries shipping over the network.
package wire

import (
	"context"
	"strconv"

	"google.golang.org/grpc"

	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/shipping/app"
	"github.com/seed-21071466/souk/services/shipping/rate"
)

// currencyDefault is the currency of parcels that name none.
const currencyDefault = "GBP"

// Server serves the contract of shipping.
type Server struct {
	shippingv1.UnimplementedShippingServer
	App *app.App
}

// Serve offers the contract to other rooms and, as REST, to the world.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge grpc.ClientConnInterface) error {
	shippingv1.RegisterShippingServer(r, s)
	return shippingv1.RegisterShippingHandlerClient(ctx, mux.ServeMux(), shippingv1.NewShippingClient(edge))
}

// Rates lists the ways to send a parcel, cheapest first.
func (s *Server) Rates(_ context.Context, req *shippingv1.RatesRequest) (*shippingv1.RatesResponse, error) {
	currency := req.Currency
	if currency == "" {
		currency = currencyDefault
	}
	options, err := s.App.Rates(req.Country, currency, req.WeightGrams)
	if err != nil {
		return nil, err
	}
	res := &shippingv1.RatesResponse{Options: make([]*shippingv1.ShippingOption, len(options))}
	for i, o := range options {
		res.Options[i] = &shippingv1.ShippingOption{Id: o.ID, Name: o.Name, Price: protomoney.From(o.Price)}
	}
	return res, nil
}

// PutRate makes or replaces a rate.
func (s *Server) PutRate(ctx context.Context, req *shippingv1.PutRateRequest) (*shippingv1.Rate, error) {
	m := req.GetRate()
	r := rate.Rate{ID: m.GetId(), Name: m.GetName(), Countries: m.GetCountries(), Currency: m.GetCurrency()}
	if err := rate.CheckCurrency(r.Currency); err != nil {
		return nil, err // else its brackets would be blamed
	}
	for i, b := range m.GetBrackets() {
		price, err := protomoney.To(b.GetPrice())
		if err != nil || price.Currency != r.Currency {
			return nil, problem.Field("brackets["+strconv.Itoa(i)+"].price", "malformed", "an amount in the rate's currency").Because(err)
		}
		r.Brackets = append(r.Brackets, rate.Bracket{UpToGrams: b.GetUpToGrams(), PriceMinor: price.Minor})
	}
	return m, s.App.Put(ctx, r)
}

// Findings checks the room's own rows.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	wrong, checked, err := s.App.Check(ctx)
	res := &typev1.FindingsResponse{Checked: int32(checked)}
	for subject, message := range wrong {
		res.Findings = append(res.Findings, &typev1.Finding{Guarantee: 7, Rule: "rate_applies", Subject: subject, Message: message})
	}
	return res, err
}
