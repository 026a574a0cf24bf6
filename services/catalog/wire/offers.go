package wire

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/catalog/view"
)

// offersDefault is how many rows a page of offers has when none are asked for.
const offersDefault = 500

// AuditOffers lists what the catalog was told of prices and stock.
func (s *Server) AuditOffers(ctx context.Context, r *catalogv1.AuditOffersRequest) (*catalogv1.AuditOffersResponse, error) {
	size, err := pageSize(r.GetPageSize(), offersDefault, view.ToldMax)
	if err != nil {
		return nil, err
	}
	after, err := offerCursor(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	rows, next, err := s.View.Told(ctx, after, size)
	if err != nil {
		return nil, err
	}
	out := &catalogv1.AuditOffersResponse{Offers: make([]*catalogv1.AuditedOffer, len(rows)), NextPageToken: offerToken(next)}
	for i := range rows {
		out.Offers[i] = auditedOut(&rows[i])
	}
	return out, nil
}

func auditedOut(t *view.Told) *catalogv1.AuditedOffer {
	out := &catalogv1.AuditedOffer{
		Sku: t.SKU, Available: t.Stock.Available, Backorder: t.Stock.Backorder, StockRevision: t.Stock.Revision,
	}
	if t.Channel != "" {
		out.Channel, out.Price, out.PriceRevision = t.Channel, protomoney.From(t.Price.Price), t.Price.Revision
		out.ValidFrom, out.ValidUntil = timeOut(t.Price.From), timeOut(t.Price.Until)
	}
	return out
}

func timeOut(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func offerToken(after *view.ToldKey) string {
	if after == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(after.SKU + "\x00" + after.Channel))
}

func offerCursor(token string) (after view.ToldKey, err error) {
	if token == "" {
		return after, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	sku, channel, found := strings.Cut(string(text), "\x00")
	if err != nil || !found || !id.Valid(sku) || channel != "" && !id.Valid(channel) {
		return after, badToken()
	}
	return view.ToldKey{SKU: sku, Channel: channel}, nil
}
