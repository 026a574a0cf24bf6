// Package wire carries pricing over the network: the service and what it publishes.
package wire

import (
	"context"
	"encoding/base64"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/pricing/app"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

// Server serves the contract of pricing.
type Server struct {
	pricingv1.UnimplementedPricingServer
	App *app.App
}

// Serve registers the service and, where there is a mux, its REST routes over edge.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge func() grpc.ClientConnInterface) error {
	pricingv1.RegisterPricingServer(r, s)
	if mux == nil {
		return nil
	}
	return pricingv1.RegisterPricingHandlerClient(ctx, mux.ServeMux(), pricingv1.NewPricingClient(edge()))
}

// meta is what every event of this call says of its making.
func (s *Server) meta(ctx context.Context) eventlog.Meta {
	return eventlog.Meta{
		Shop: s.App.Shop, Actor: auth.From(ctx).String(), OnBehalfOf: rpc.OnBehalfOf(ctx),
		Correlation: rpc.RequestID(ctx), Time: s.App.Clock.Now(),
		Trace: eventlog.TraceOf(ctx),
	}
}

// SetPrices sets prices of one channel.
func (s *Server) SetPrices(ctx context.Context, req *pricingv1.SetPricesRequest) (*pricingv1.SetPricesResponse, error) {
	asked := make([]app.Asked, len(req.GetPrices()))
	for i, price := range req.GetPrices() {
		asked[i].Price, asked[i].Refusal = priceIn(price)
	}
	results, err := s.App.SetPrices(ctx, req.GetChannel(), asked, s.meta(ctx))
	if err != nil {
		return nil, err
	}
	out := &pricingv1.SetPricesResponse{Results: make([]*pricingv1.PriceResult, len(results))}
	for i, result := range results {
		out.Results[i] = &pricingv1.PriceResult{Sku: result.SKU, Outcome: string(result.Outcome)}
		if refusal := result.Refusal; refusal != nil {
			out.Results[i].Code, out.Results[i].Message = refusal.Code, refusal.Message
			if len(refusal.Violations) > 0 {
				out.Results[i].Code = refusal.Violations[0].Code
			}
		}
	}
	return out, nil
}

// ListPrices lists prices of one channel; those that do not hold now are for staff.
func (s *Server) ListPrices(ctx context.Context, req *pricingv1.ListPricesRequest) (*pricingv1.ListPricesResponse, error) {
	after, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	if err != nil || !app.ValidCursor(string(after)) {
		return nil, problem.Field("page_token", "bad_page_token", "hand back the next_page_token of the page before, as it was")
	}
	asker := auth.From(ctx)
	page, next, err := s.App.Prices(ctx, app.Selection{
		Channel: req.GetChannel(), SKUs: req.GetSkus(), After: string(after), Size: int(req.GetPageSize()),
		All: asker.Staff() || asker.Service(),
	})
	if err != nil {
		return nil, err
	}
	out := &pricingv1.ListPricesResponse{
		Prices: make([]*pricingv1.Price, len(page)), NextPageToken: base64.RawURLEncoding.EncodeToString([]byte(next)),
	}
	for i := range page {
		out.Prices[i] = &pricingv1.Price{
			Sku: page[i].SKU, Price: protomoney.From(page[i].Amount),
			ValidFrom: timeOut(page[i].From), ValidUntil: timeOut(page[i].Until),
		}
	}
	return out, nil
}

// Quote prices lines and shipping. It is for everybody, so no line may bring its own price.
func (s *Server) Quote(ctx context.Context, req *pricingv1.QuoteRequest) (*pricingv1.QuoteResponse, error) {
	for i, line := range req.GetLines() {
		if line.GetUnitPrice() != nil {
			return nil, problem.Field(quote.Field(i, "unit_price"), "not_allowed", "the list says what things cost; only the sales desk may set a price")
		}
	}
	return s.quote(ctx, req)
}

// QuoteDesk is Quote for the sales desk of orders: a line may bring its own price.
func (s *Server) QuoteDesk(ctx context.Context, req *pricingv1.QuoteRequest) (*pricingv1.QuoteResponse, error) {
	return s.quote(ctx, req)
}

func (s *Server) quote(ctx context.Context, req *pricingv1.QuoteRequest) (*pricingv1.QuoteResponse, error) {
	request := quote.Request{Country: req.GetCountry(), Lines: make([]quote.Line, len(req.GetLines()))}
	for i, line := range req.GetLines() {
		own, err := ownPrice(i, line.GetUnitPrice())
		if err != nil {
			return nil, err
		}
		request.Lines[i] = quote.Line{SKU: line.GetSku(), Quantity: int64(line.GetQuantity()), TaxClass: line.GetTaxClass(), Own: own}
	}
	if req.Shipping != nil {
		shipping, err := moneyIn("shipping", req.GetShipping())
		if err != nil {
			return nil, err
		}
		request.Shipping = shipping
	}
	q, err := s.App.Quote(ctx, req.GetChannel(), req.GetCurrency(), request)
	if err != nil {
		return nil, err
	}
	return quoteOut(&q), nil
}

// ownPrice is the price that a line brings, if any.
func ownPrice(line int, m *typev1.Money) (own money.Money, err error) {
	if m == nil {
		return own, nil
	}
	if own, err = money.Parse(m.GetAmount(), m.GetCurrency()); err != nil {
		return own, on(quote.Field(line, "unit_price"), err)
	}
	return own, nil
}

// PutChannel makes or replaces a channel.
func (s *Server) PutChannel(ctx context.Context, req *pricingv1.PutChannelRequest) (*pricingv1.Channel, error) {
	c := quote.Channel{
		ID: req.GetChannel().GetId(), Currency: req.GetChannel().GetCurrency(),
		TaxInclusive: req.GetChannel().GetTaxInclusive(), DefaultCountry: req.GetChannel().GetDefaultCountry(),
	}
	if err := s.App.PutChannel(ctx, c, s.meta(ctx)); err != nil {
		return nil, err
	}
	return channelOut(c), nil
}

// ListChannels lists all channels.
func (s *Server) ListChannels(ctx context.Context, _ *pricingv1.ListChannelsRequest) (*pricingv1.ListChannelsResponse, error) {
	channels, err := s.App.Channels(ctx)
	if err != nil {
		return nil, err
	}
	out := &pricingv1.ListChannelsResponse{}
	for _, c := range channels {
		out.Channels = append(out.Channels, channelOut(c))
	}
	return out, nil
}

// PutTaxRate sets the rate of a country and class.
func (s *Server) PutTaxRate(ctx context.Context, req *pricingv1.PutTaxRateRequest) (*pricingv1.TaxRate, error) {
	rate, err := money.ParseRate(req.GetRate().GetRate())
	if err != nil {
		return nil, on("rate.rate", err)
	}
	tax := app.Tax{TaxKey: quote.TaxKey{Country: req.GetRate().GetCountry(), Class: req.GetRate().GetTaxClass()}, Rate: rate}
	if err := s.App.PutTax(ctx, tax); err != nil {
		return nil, err
	}
	return taxOut(tax), nil
}

// ListTaxRates lists all rates.
func (s *Server) ListTaxRates(ctx context.Context, _ *pricingv1.ListTaxRatesRequest) (*pricingv1.ListTaxRatesResponse, error) {
	rates, err := s.App.Taxes(ctx)
	if err != nil {
		return nil, err
	}
	out := &pricingv1.ListTaxRatesResponse{}
	for _, tax := range rates {
		out.Rates = append(out.Rates, taxOut(tax))
	}
	return out, nil
}

// Findings checks the room's own rows.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	report, err := s.App.Findings(ctx)
	if err != nil {
		return nil, err
	}
	out := &typev1.FindingsResponse{Checked: int32(report.Checked), Truncated: report.Truncated, Head: report.Head}
	for _, f := range report.Findings {
		out.Findings = append(out.Findings, &typev1.Finding{
			Guarantee: int32(f.Guarantee), Rule: f.Rule, Subject: f.Subject, Message: f.Message,
		})
	}
	return out, nil
}

func channelOut(c quote.Channel) *pricingv1.Channel {
	return &pricingv1.Channel{Id: c.ID, Currency: c.Currency, TaxInclusive: c.TaxInclusive, DefaultCountry: c.DefaultCountry}
}

func taxOut(t app.Tax) *pricingv1.TaxRate {
	return &pricingv1.TaxRate{Country: t.Country, TaxClass: t.Class, Rate: t.Rate.String()}
}

// quoteOut leaves sums out where there is no total.
func quoteOut(q *quote.Quote) *pricingv1.QuoteResponse {
	out := &pricingv1.QuoteResponse{
		Channel: q.Channel.ID, Currency: q.Channel.Currency, TaxInclusive: q.Channel.TaxInclusive,
		Lines: make([]*pricingv1.QuotedLine, len(q.Lines)), UnpricedSkus: q.Unpriced,
		Shipping: protomoney.From(q.Shipping), ShippingTax: protomoney.From(q.ShippingTax),
		ItemsTotal: protomoney.From(q.Items), DiscountTotal: protomoney.From(q.Discounts),
	}
	if len(q.Unpriced) == 0 {
		out.TaxTotal, out.Total = protomoney.From(q.Tax), protomoney.From(q.Total)
	}
	for i := range q.Lines {
		out.Lines[i] = lineOut(&q.Lines[i])
	}
	return out
}

func lineOut(line *quote.Priced) *pricingv1.QuotedLine {
	if !line.Known {
		return &pricingv1.QuotedLine{Sku: line.SKU, Quantity: int32(line.Quantity)}
	}
	out := &pricingv1.QuotedLine{
		Sku: line.SKU, Quantity: int32(line.Quantity), UnitPrice: protomoney.From(line.Unit),
		Subtotal: protomoney.From(line.Subtotal), Discount: protomoney.From(line.Discount),
		Tax: protomoney.From(line.Tax), Total: protomoney.From(line.Total), TaxRate: line.Rate.String(),
	}
	if line.List.Currency != "" {
		out.ListPrice = protomoney.From(line.List)
	}
	return out
}

// priceIn reads a price as a client sent it.
func priceIn(p *pricingv1.Price) (price quote.Price, err error) {
	price.SKU = p.GetSku()
	if price.Amount, err = moneyIn("price", p.GetPrice()); err != nil {
		return price, err
	}
	if price.From, err = timeIn("valid_from", p.GetValidFrom()); err != nil {
		return price, err
	}
	price.Until, err = timeIn("valid_until", p.GetValidUntil())
	return price, err
}

// moneyIn reads an amount that may not be negative.
func moneyIn(field string, m *typev1.Money) (money.Money, error) {
	amount, err := money.Parse(m.GetAmount(), m.GetCurrency())
	if err != nil {
		return money.Money{}, on(field, err)
	}
	return amount, nil
}

// on says which field a refusal is about.
func on(field string, err error) error {
	refusal := problem.Of(err)
	if refusal == nil {
		return err
	}
	return problem.Field(field, refusal.Code, refusal.Message)
}

// timeIn reads a moment to the microsecond, which is what the store keeps.
func timeIn(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if !t.IsValid() || t.GetSeconds() <= 0 {
		return time.Time{}, problem.Field(field, "not_a_time", "it is a moment after 1970")
	}
	return t.AsTime().Truncate(time.Microsecond), nil
}

func timeOut(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
