package wire

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// ListHolds lists holds and allocations by order.
func (s *Server) ListHolds(ctx context.Context, req *inventoryv1.ListHoldsRequest) (*inventoryv1.ListHoldsResponse, error) {
	page, next, err := s.Stock.Holds(ctx, stock.State(req.State), int(req.PageSize), req.PageToken)
	if err != nil {
		return nil, err
	}
	holds := make([]*inventoryv1.OrderHold, len(page))
	for i, h := range page {
		holds[i] = &inventoryv1.OrderHold{
			OrderId: h.Order, State: string(h.State), Lines: heldLines(h.Left()),
			HeldAt: timestamppb.New(h.At), Deadline: timestamppb.New(h.Deadline),
			Shipped: piecesBySKU(h.Shipped), Returned: piecesBySKU(h.Returned),
		}
	}
	return &inventoryv1.ListHoldsResponse{Holds: holds, NextPageToken: next}, nil
}

func piecesBySKU(pieces map[string]int) map[string]int32 {
	if len(pieces) == 0 {
		return nil
	}
	by := make(map[string]int32, len(pieces))
	for sku, n := range pieces {
		by[sku] = clamp(n)
	}
	return by
}

// Findings checks the room's own rows and tells how far its consumers have come.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	report, err := s.Stock.Findings(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the rows of inventory: %w", err)
	}
	answer := &typev1.FindingsResponse{
		Checked: clamp(report.Checked), Truncated: report.Truncated, Head: report.Head,
		Findings: make([]*typev1.Finding, len(report.Findings)),
	}
	for i, f := range report.Findings {
		answer.Findings[i] = &typev1.Finding{Guarantee: int32(f.Guarantee), Rule: f.Rule, Subject: f.Subject, Message: f.Message}
	}
	if answer.Consumers, err = s.consumers(ctx); err != nil {
		return nil, err
	}
	return answer, nil
}

// consumers is where the consumers stand.
func (s *Server) consumers(ctx context.Context) ([]*typev1.ConsumerPosition, error) {
	standings, err := s.Bus.Standings(ctx, FollowsOrders, FollowsShipping)
	if err != nil {
		return nil, err
	}
	positions := make([]*typev1.ConsumerPosition, len(standings))
	for i, at := range standings {
		positions[i] = &typev1.ConsumerPosition{
			Consumer: at.Consumer, Source: at.Source, Position: at.Position, Letters: clamp(at.Letters),
		}
	}
	return positions, nil
}
