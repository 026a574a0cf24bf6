// Package wire carries shipping over the network: the service, what it publishes and what it hears.
package wire

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/services/shipping/app"
)

// Server serves the contract of shipping.
type Server struct {
	shippingv1.UnimplementedShippingServer
	Shipping *app.Shipping
	Bus      *bus.Bus
}

// Serve registers the service and, where there is a mux, its REST routes over edge.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge grpc.ClientConnInterface) error {
	shippingv1.RegisterShippingServer(r, s)
	if mux == nil {
		return nil
	}
	return shippingv1.RegisterShippingHandlerClient(ctx, mux.ServeMux(), shippingv1.NewShippingClient(edge))
}

// meta is what every event of this call says of its making.
func meta(ctx context.Context) eventlog.Meta {
	return eventlog.Meta{Actor: auth.From(ctx).String(), OnBehalfOf: rpc.OnBehalfOf(ctx), Correlation: rpc.RequestID(ctx), Trace: eventlog.TraceOf(ctx)}
}

// Findings checks the room's own rows, page by page, and tells how far its consumer has come.
func (s *Server) Findings(ctx context.Context, req *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	report, err := s.Shipping.Findings(ctx, req.PageToken)
	if err != nil {
		return nil, fmt.Errorf("check the rows of shipping: %w", err)
	}
	answer := &typev1.FindingsResponse{
		Checked: int32(report.Checked), Truncated: report.Truncated, Head: report.Head, NextPageToken: report.Next,
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

// consumers is where the consumer of orders stands.
func (s *Server) consumers(ctx context.Context) ([]*typev1.ConsumerPosition, error) {
	standings, err := s.Bus.Standings(ctx, FollowsOrders)
	if err != nil {
		return nil, err
	}
	positions := make([]*typev1.ConsumerPosition, len(standings))
	for i, at := range standings {
		positions[i] = &typev1.ConsumerPosition{Consumer: at.Consumer, Source: at.Source, Position: at.Position, Letters: int32(at.Letters)}
	}
	return positions, nil
}
