package wire

import (
	"context"
	"encoding/base64"
	"strings"

	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/pricing/app"
)

// AuditPrices lists all prices with their revisions.
func (s *Server) AuditPrices(ctx context.Context, req *pricingv1.AuditPricesRequest) (*pricingv1.AuditPricesResponse, error) {
	after, err := priceCursor(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	page, next, err := s.App.AllPrices(ctx, after, int(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	out := &pricingv1.AuditPricesResponse{Prices: make([]*pricingv1.AuditedPrice, len(page)), NextPageToken: priceToken(next)}
	for i := range page {
		p := &page[i]
		out.Prices[i] = &pricingv1.AuditedPrice{
			Sku: p.SKU, Channel: p.Channel, Price: protomoney.From(p.Amount),
			ValidFrom: timeOut(p.From), ValidUntil: timeOut(p.Until), Revision: p.Revision,
		}
	}
	return out, nil
}

func priceToken(after *app.PriceKey) string {
	if after == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(after.Channel + "\x00" + after.SKU))
}

func priceCursor(token string) (after app.PriceKey, err error) {
	if token == "" {
		return after, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	channel, sku, found := strings.Cut(string(text), "\x00")
	if err != nil || !found || !id.Valid(channel) || !id.Valid(sku) {
		return after, problem.Field("page_token", "bad_page_token", "hand back the next_page_token of the page before, as it was")
	}
	return app.PriceKey{Channel: channel, SKU: sku}, nil
}
