package wire

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/services/shipping/app"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// dispatchMethod is the method of idempotency keys.
const dispatchMethod = "dispatch"

// Dispatch hands a parcel over, once for a key.
func (s *Server) Dispatch(ctx context.Context, req *shippingv1.DispatchRequest) (*shippingv1.Shipment, error) {
	key, digest, ok := rpc.IdempotencyKey(ctx)
	if !ok {
		return nil, problem.New(problem.Invalid, "idempotency_key_required", "Send an Idempotency-Key: parcels add up.")
	}
	at, err := readTime("dispatched_at", req.DispatchedAt)
	if err != nil {
		return nil, err
	}
	answer, err := s.Shipping.Dispatch(ctx, app.DispatchCommand{
		Key:    idem.Key{Shop: s.Shipping.Shop, Principal: auth.From(ctx).String(), Method: dispatchMethod, Key: key, Digest: digest},
		Order:  req.OrderId,
		Parcel: shipment.Parcel{Pieces: readPieces(req.Lines), Carrier: req.Carrier, TrackingNumber: req.TrackingNumber, DispatchedAt: at},
		Encode: func(of *shipment.Shipment) ([]byte, error) { return proto.Marshal(message(of)) },
	}, meta(ctx))
	if err != nil {
		return nil, err
	}
	dispatched := new(shippingv1.Shipment)
	if err := proto.Unmarshal(answer, dispatched); err != nil {
		return nil, fmt.Errorf("read the stored answer of key %s: %w", key, err)
	}
	return dispatched, nil
}

// Stop keeps back what of an order has not left.
func (s *Server) Stop(ctx context.Context, req *shippingv1.StopRequest) (*shippingv1.StopResponse, error) {
	m := meta(ctx)
	m.Reason = req.Reason
	outcome, gone, err := s.Shipping.Stop(ctx, req.OrderId, m)
	if err != nil {
		return nil, err
	}
	return &shippingv1.StopResponse{Outcome: string(outcome), Dispatched: pieces(gone)}, nil
}

// Track records where a parcel is.
func (s *Server) Track(ctx context.Context, req *shippingv1.TrackRequest) (*shippingv1.Shipment, error) {
	at, err := readTime("at", req.At)
	if err != nil {
		return nil, err
	}
	tracked, err := s.Shipping.Track(ctx, app.TrackCommand{
		Order: req.OrderId, Parcel: req.ParcelId, Entry: shipment.Entry{Status: shipment.Status(req.Status), At: at, Note: req.Note},
	}, meta(ctx))
	if err != nil {
		return nil, err
	}
	return message(tracked), nil
}

// GetShipment reads the shipment of an order.
func (s *Server) GetShipment(ctx context.Context, req *shippingv1.GetShipmentRequest) (*shippingv1.Shipment, error) {
	found, err := s.Shipping.Shipment(ctx, auth.From(ctx), req.OrderId)
	if err != nil {
		return nil, err
	}
	return message(found), nil
}

// ListShipments lists shipments by order, oldest first.
func (s *Server) ListShipments(ctx context.Context, req *shippingv1.ListShipmentsRequest) (*shippingv1.ListShipmentsResponse, error) {
	page, next, err := s.Shipping.Shipments(ctx, shipment.State(req.State), int(req.PageSize), req.PageToken)
	if err != nil {
		return nil, err
	}
	list := make([]*shippingv1.Shipment, len(page))
	for i, found := range page {
		list[i] = message(found)
	}
	return &shippingv1.ListShipmentsResponse{Shipments: list, NextPageToken: next}, nil
}

// readTime is the time of a field, zero when it is absent.
func readTime(field string, t *timestamppb.Timestamp) (time.Time, error) {
	switch {
	case t == nil:
		return time.Time{}, nil
	case !t.IsValid():
		return time.Time{}, problem.Field(field, "invalid", "must be a time")
	}
	return t.AsTime(), nil
}

func readPieces(lines []*shippingv1.ParcelLine) []shipment.Piece {
	list := make([]shipment.Piece, len(lines))
	for i, l := range lines {
		list[i] = shipment.Piece{Line: l.GetLine(), SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	return list
}

func message(s *shipment.Shipment) *shippingv1.Shipment {
	m := &shippingv1.Shipment{
		OrderId: s.Order, State: string(s.State),
		Lines: make([]*shippingv1.ShipmentLine, len(s.Lines)), Parcels: make([]*shippingv1.Parcel, len(s.Parcels)),
	}
	if s.Opened() {
		m.OpenedAt = timestamppb.New(s.OpenedAt)
	}
	lines := make([]shippingv1.ShipmentLine, len(s.Lines)) // one piece of memory for all
	for i, l := range s.Lines {
		m.Lines[i] = &lines[i]
		lines[i].Line, lines[i].Sku, lines[i].Quantity, lines[i].Dispatched = l.Number, l.SKU, l.Quantity, l.Dispatched
	}
	for i := range s.Parcels {
		m.Parcels[i] = parcel(&s.Parcels[i])
	}
	return m
}

func parcel(p *shipment.Parcel) *shippingv1.Parcel {
	m := &shippingv1.Parcel{
		Id: p.ID, Lines: pieces(p.Pieces), Carrier: p.Carrier, TrackingNumber: p.TrackingNumber,
		DispatchedAt: timestamppb.New(p.DispatchedAt), Status: string(p.Status()),
		Tracking: make([]*shippingv1.TrackingEntry, len(p.Tracking)),
	}
	for i, e := range p.Tracking {
		m.Tracking[i] = &shippingv1.TrackingEntry{Status: string(e.Status), At: timestamppb.New(e.At), Note: e.Note}
	}
	return m
}

func pieces(list []shipment.Piece) []*shippingv1.ParcelLine {
	lines := make([]shippingv1.ParcelLine, len(list)) // one piece of memory for all
	out := make([]*shippingv1.ParcelLine, len(list))
	for i, p := range list {
		out[i] = &lines[i]
		lines[i].Line, lines[i].Sku, lines[i].Quantity = p.Line, p.SKU, p.Quantity
	}
	return out
}
