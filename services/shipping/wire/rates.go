package wire

import (
	"context"
	"strconv"

	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/shipping/rate"
)

// currencyDefault is the currency of parcels that name none.
const currencyDefault = "GBP"

// Rates lists the ways to send a parcel, cheapest first.
func (s *Server) Rates(ctx context.Context, req *shippingv1.RatesRequest) (*shippingv1.RatesResponse, error) {
	currency := req.Currency
	if currency == "" {
		currency = currencyDefault
	}
	options, err := s.Shipping.Rates(ctx, req.Country, currency, req.WeightGrams)
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
	return m, s.Shipping.PutRate(ctx, r)
}
