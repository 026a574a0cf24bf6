package wire

import (
	"context"
	"encoding/base64"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	"github.com/seed-21071466/souk/kit/problem"
)

// AuditFigures lists what can be sold of all SKUs with its revision.
func (s *Server) AuditFigures(ctx context.Context, req *inventoryv1.AuditFiguresRequest) (*inventoryv1.AuditFiguresResponse, error) {
	after, err := base64.RawURLEncoding.DecodeString(req.PageToken)
	if err != nil {
		return nil, problem.Field("page_token", "invalid", "use the next_page_token of the page before")
	}
	page, next, err := s.Stock.Figures(ctx, int(req.PageSize), string(after))
	if err != nil {
		return nil, err
	}
	figures := make([]*inventoryv1.AuditedFigure, len(page))
	for i, f := range page {
		figures[i] = &inventoryv1.AuditedFigure{
			Sku: f.SKU, Available: clamp(f.Available), Backorder: f.Policy.Backorder, Revision: f.Revision,
		}
	}
	return &inventoryv1.AuditFiguresResponse{Figures: figures, NextPageToken: base64.RawURLEncoding.EncodeToString([]byte(next))}, nil
}
