package wire

import (
	"context"

	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
)

// viewEqualsFold is the guarantee that the catalog's own rows are checked for:
// a view equals the fold of what it follows.
const viewEqualsFold = 7

var _ catalogv1.CatalogServer = (*Server)(nil)

// Findings checks the room's own rows and tells where its consumers stand.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	found, err := s.View.Findings(ctx)
	if err != nil {
		return nil, err
	}
	out := &typev1.FindingsResponse{Checked: int32(found.Checked), Truncated: found.Truncated, Head: s.Log.Head()}
	for _, f := range found.Found {
		out.Findings = append(out.Findings, &typev1.Finding{Guarantee: viewEqualsFold, Rule: f.Rule, Subject: f.Subject, Message: f.Message})
	}
	standings, err := s.Bus.Standings(ctx, FollowsPricing, FollowsInventory)
	if err != nil {
		return nil, err
	}
	for _, at := range standings {
		out.Consumers = append(out.Consumers, &typev1.ConsumerPosition{
			Consumer: at.Consumer, Source: at.Source, Position: at.Position, Letters: int32(at.Letters),
		})
	}
	return out, nil
}
