// Package wire carries notifications over the network: the service, what it
// hears, and whom it asks. Its chamber webhook tells the endpoints.
package wire

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	notificationsv1 "github.com/seed-21071466/souk/gen/souk/notifications/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// Server serves the contract of notifications.
type Server struct {
	notificationsv1.UnimplementedNotificationsServer
	App *app.Notifications
	Bus *bus.Bus
}

// Serve registers the service and, where there is a mux, its REST routes over edge.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge grpc.ClientConnInterface) error {
	notificationsv1.RegisterNotificationsServer(r, s)
	if mux == nil {
		return nil
	}
	return notificationsv1.RegisterNotificationsHandlerClient(ctx, mux.ServeMux(), notificationsv1.NewNotificationsClient(edge))
}

// ListMails lists mails, newest first.
func (s *Server) ListMails(ctx context.Context, req *notificationsv1.ListMailsRequest) (*notificationsv1.ListMailsResponse, error) {
	page, next, err := s.App.Mails(ctx, app.MailQuery{
		Size: int(req.PageSize), Before: req.PageToken, State: notice.State(req.State), Order: req.OrderId, Subject: req.SubjectId,
	})
	if err != nil {
		return nil, err
	}
	list := make([]*notificationsv1.Mail, len(page))
	for i := range page {
		list[i] = mailOut(page[i])
	}
	return &notificationsv1.ListMailsResponse{Mails: list, NextPageToken: next}, nil
}

// ResendMail sends a mail again.
func (s *Server) ResendMail(ctx context.Context, req *notificationsv1.ResendMailRequest) (*notificationsv1.Mail, error) {
	m, err := s.App.Resend(ctx, req.MailId)
	if err != nil {
		return nil, err
	}
	return mailOut(m), nil
}

// PutEndpoint makes or changes an endpoint; its secret is told when it is made.
func (s *Server) PutEndpoint(ctx context.Context, req *notificationsv1.PutEndpointRequest) (*notificationsv1.Endpoint, error) {
	asked := req.GetEndpoint()
	if err := endpoint.CheckEvents(len(asked.GetEvents())); err != nil {
		return nil, err
	}
	events := make([]notice.Event, len(asked.GetEvents()))
	for i, event := range asked.GetEvents() {
		events[i] = notice.Event(event)
	}
	put, made, err := s.App.PutEndpoint(ctx, endpoint.Endpoint{
		ID: asked.GetId(), URL: asked.GetUrl(), Events: events, Disabled: asked.GetDisabled(),
	})
	if err != nil {
		return nil, err
	}
	out := endpointOut(put)
	if made {
		out.Secret = put.SecretText()
	}
	return out, nil
}

// ListEndpoints lists all endpoints.
func (s *Server) ListEndpoints(ctx context.Context, _ *notificationsv1.ListEndpointsRequest) (*notificationsv1.ListEndpointsResponse, error) {
	all, err := s.App.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]*notificationsv1.Endpoint, len(all))
	for i := range all {
		list[i] = endpointOut(all[i])
	}
	return &notificationsv1.ListEndpointsResponse{Endpoints: list}, nil
}

// DeleteEndpoint forgets an endpoint and what it was still to be told.
func (s *Server) DeleteEndpoint(ctx context.Context, req *notificationsv1.DeleteEndpointRequest) (*notificationsv1.DeleteEndpointResponse, error) {
	pending, err := s.App.DeleteEndpoint(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	return &notificationsv1.DeleteEndpointResponse{Pending: clamp(pending)}, nil
}

// ListDeliveries lists what endpoints were and will be told, newest first.
func (s *Server) ListDeliveries(ctx context.Context, req *notificationsv1.ListDeliveriesRequest) (*notificationsv1.ListDeliveriesResponse, error) {
	page, next, err := s.App.Deliveries(ctx, app.DeliveryQuery{
		Size: int(req.PageSize), Before: req.PageToken, Endpoint: req.EndpointId, State: endpoint.State(req.State),
	})
	if err != nil {
		return nil, err
	}
	list := make([]*notificationsv1.Delivery, len(page))
	for i := range page {
		list[i] = deliveryOut(page[i])
	}
	return &notificationsv1.ListDeliveriesResponse{Deliveries: list, NextPageToken: next}, nil
}

// Redeliver tells an endpoint again.
func (s *Server) Redeliver(ctx context.Context, req *notificationsv1.RedeliverRequest) (*notificationsv1.Delivery, error) {
	d, err := s.App.Redeliver(ctx, req.DeliveryId)
	if err != nil {
		return nil, err
	}
	return deliveryOut(d), nil
}

// Findings checks the room's own rows and tells how far its consumers have come. The room says nothing in public, so its
// log has no head.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	report, err := s.App.Findings(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the rows of notifications: %w", err)
	}
	answer := &typev1.FindingsResponse{
		Checked: clamp(int64(report.Checked)), Truncated: report.Truncated, Findings: make([]*typev1.Finding, len(report.Findings)),
	}
	for i, f := range report.Findings {
		answer.Findings[i] = &typev1.Finding{Guarantee: int32(f.Guarantee), Rule: f.Rule, Subject: f.Subject, Message: f.Message}
	}
	standings, err := s.Bus.Standings(ctx, FollowsOrders, FollowsShipping)
	for _, at := range standings {
		answer.Consumers = append(answer.Consumers, &typev1.ConsumerPosition{
			Consumer: at.Consumer, Source: at.Source, Position: at.Position, Letters: clamp(int64(at.Letters)),
		})
	}
	return answer, err
}

func mailOut(m notice.Mail) *notificationsv1.Mail {
	return &notificationsv1.Mail{
		Id: m.ID, Kind: string(m.Kind), OrderId: m.Order, SubjectId: m.Subject, State: string(m.State), Attempts: int32(m.Attempts),
		LastError: m.LastError, CreatedAt: timestamp(m.CreatedAt), SentAt: timestamp(m.SentAt),
	}
}

// endpointOut leaves the secret out.
func endpointOut(e endpoint.Endpoint) *notificationsv1.Endpoint {
	events := make([]string, len(e.Events))
	for i, event := range e.Events {
		events[i] = string(event)
	}
	return &notificationsv1.Endpoint{Id: e.ID, Url: e.URL, Events: events, Disabled: e.Disabled, CreatedAt: timestamp(e.CreatedAt)}
}

func deliveryOut(d endpoint.Delivery) *notificationsv1.Delivery {
	return &notificationsv1.Delivery{
		Id: d.ID, EndpointId: d.Endpoint, MessageId: d.Message, Event: string(d.Event), OrderId: d.Order, State: string(d.State),
		Attempts: int32(d.Attempts), LastStatus: int32(d.LastStatus), LastError: d.LastError,
		CreatedAt: timestamp(d.CreatedAt), NextAt: timestamp(d.DueAt), DeliveredAt: timestamp(d.DeliveredAt),
	}
}

// timestamp is a time on the wire; none when it is zero.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// clamp fits a sum into the contract's 32 bits.
func clamp(n int64) int32 { return int32(min(n, math.MaxInt32)) }
