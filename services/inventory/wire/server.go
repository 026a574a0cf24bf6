// Package wire carries inventory over the network: the service, what it
// publishes and what it hears.
package wire

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// Server serves the contract of inventory.
type Server struct {
	inventoryv1.UnimplementedInventoryServer
	Stock *app.Inventory
	Bus   *bus.Bus
}

// Serve registers the service and, where there is a mux, its REST routes over edge.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge grpc.ClientConnInterface) error {
	inventoryv1.RegisterInventoryServer(r, s)
	if mux == nil {
		return nil
	}
	return inventoryv1.RegisterInventoryHandlerClient(ctx, mux.ServeMux(), inventoryv1.NewInventoryClient(edge))
}

// meta is what every event of this call says of its making.
func (s *Server) meta(ctx context.Context) eventlog.Meta {
	return eventlog.Meta{
		Actor: auth.From(ctx).String(), OnBehalfOf: rpc.OnBehalfOf(ctx), Correlation: rpc.RequestID(ctx), Time: s.Stock.Clock.Now(),
		Trace: eventlog.TraceOf(ctx),
	}
}

// Hold takes all lines of an order off what is available.
func (s *Server) Hold(ctx context.Context, req *inventoryv1.HoldRequest) (*inventoryv1.HoldResponse, error) {
	command := app.HoldCommand{Order: req.OrderId, Run: req.RunId, Lines: promisedLines(req.Lines)}
	if req.Deadline != nil {
		if !req.Deadline.IsValid() {
			return nil, problem.Field("deadline", "invalid", "must be a time")
		}
		command.Deadline = req.Deadline.AsTime()
	}
	pieces, err := s.Stock.Hold(ctx, command, s.meta(ctx))
	if err != nil {
		return nil, err
	}
	return &inventoryv1.HoldResponse{Lines: heldLines(pieces)}, nil
}

// Release ends an order's hold.
func (s *Server) Release(ctx context.Context, req *inventoryv1.ReleaseRequest) (*inventoryv1.ReleaseResponse, error) {
	outcome, err := s.Stock.Release(ctx, req.OrderId, req.RunId, s.meta(ctx))
	if err != nil {
		return nil, err
	}
	return &inventoryv1.ReleaseResponse{Outcome: string(outcome)}, nil
}

// ReleaseLines gives named pieces of an order back.
func (s *Server) ReleaseLines(ctx context.Context, req *inventoryv1.ReleaseLinesRequest) (*inventoryv1.ReleaseResponse, error) {
	outcome, err := s.Stock.ReleaseLines(ctx, app.ReleaseCommand{
		Order: req.OrderId, ID: req.ReleaseId, Lines: promisedLines(req.Lines),
	}, s.meta(ctx))
	if err != nil {
		return nil, err
	}
	return &inventoryv1.ReleaseResponse{Outcome: string(outcome)}, nil
}

// Availability reads what can be sold of SKUs.
func (s *Server) Availability(ctx context.Context, req *inventoryv1.AvailabilityRequest) (*inventoryv1.AvailabilityResponse, error) {
	figures, err := s.Stock.Availability(ctx, req.Skus)
	if err != nil {
		return nil, err
	}
	items := make([]*inventoryv1.Available, len(figures))
	for i, f := range figures {
		items[i] = available(f)
	}
	return &inventoryv1.AvailabilityResponse{Items: items}, nil
}

// RecordMovements adds movements to the ledger, once for a key.
func (s *Server) RecordMovements(ctx context.Context, req *inventoryv1.RecordMovementsRequest) (*inventoryv1.RecordMovementsResponse, error) {
	key, digest, ok := rpc.IdempotencyKey(ctx)
	if !ok {
		return nil, problem.New(problem.Invalid, "idempotency_key_required", "Send an Idempotency-Key: movements add up.")
	}
	answer, err := s.Stock.Record(ctx, app.RecordCommand{
		Key:       idem.Key{Shop: s.Stock.Shop, Principal: auth.From(ctx).String(), Method: "stock_movements", Key: key, Digest: digest},
		Movements: readMovements(req.Movements),
		Encode: func(list []stock.Movement) ([]byte, error) {
			return proto.Marshal(&inventoryv1.RecordMovementsResponse{Movements: movements(list)})
		},
	}, s.meta(ctx))
	if err != nil {
		return nil, err
	}
	recorded := new(inventoryv1.RecordMovementsResponse)
	if err := proto.Unmarshal(answer, recorded); err != nil {
		return nil, fmt.Errorf("read the stored answer of key %s: %w", key, err)
	}
	return recorded, nil
}

// CountStock sets what was counted.
func (s *Server) CountStock(ctx context.Context, req *inventoryv1.CountStockRequest) (*inventoryv1.CountStockResponse, error) {
	command := app.CountCommand{OnlyNew: req.OnlyNew, Reason: req.Reason, Counts: make([]stock.Count, len(req.Counts))}
	for i, c := range req.Counts {
		command.Counts[i] = stock.Count{SKU: c.GetSku(), Location: location(c.GetLocationId()), OnHand: int(c.GetOnHand())}
	}
	adjusted, err := s.Stock.Count(ctx, command, s.meta(ctx))
	if err != nil {
		return nil, err
	}
	return &inventoryv1.CountStockResponse{Adjusted: int32(adjusted), Unchanged: int32(len(req.Counts) - adjusted)}, nil
}

// GetStock reads one SKU at all locations.
func (s *Server) GetStock(ctx context.Context, req *inventoryv1.GetStockRequest) (*inventoryv1.Stock, error) {
	item, err := s.Stock.Stock(ctx, req.Sku)
	if err != nil {
		return nil, err
	}
	return stockOf(item), nil
}

// ListMovements lists the ledger of one SKU, newest first.
func (s *Server) ListMovements(ctx context.Context, req *inventoryv1.ListMovementsRequest) (*inventoryv1.ListMovementsResponse, error) {
	query, err := movementQuery(req)
	if err != nil {
		return nil, err
	}
	page, next, err := s.Stock.Movements(ctx, query)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.ListMovementsResponse{Movements: movements(page), NextPageToken: app.MovementID(next)}, nil
}

func movementQuery(req *inventoryv1.ListMovementsRequest) (q app.MovementQuery, err error) {
	q = app.MovementQuery{SKU: req.Sku, Kind: stock.Kind(req.Kind), Order: req.OrderId, Size: int(req.PageSize)}
	if q.Before, err = app.MovementNumber(req.PageToken); err != nil {
		return q, err
	}
	if q.Since, err = day("since", req.Since); err != nil {
		return q, err
	}
	if q.Until, err = day("until", req.Until); err == nil && !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // the day itself is included
	}
	return q, err
}

// PutPolicy says whether a SKU may be sold beyond what is available.
func (s *Server) PutPolicy(ctx context.Context, req *inventoryv1.PutPolicyRequest) (*inventoryv1.Stock, error) {
	policy := stock.Policy{Backorder: req.Policy.GetBackorder(), Limit: int(req.Policy.GetBackorderLimit())}
	item, err := s.Stock.PutPolicy(ctx, req.Sku, policy, s.meta(ctx))
	if err != nil {
		return nil, err
	}
	return stockOf(item), nil
}

// PutLocation makes or replaces a location.
func (s *Server) PutLocation(ctx context.Context, req *inventoryv1.PutLocationRequest) (*inventoryv1.Location, error) {
	l := req.GetLocation()
	err := s.Stock.PutLocation(ctx, app.Location{ID: l.GetId(), Name: l.GetName(), Priority: int(l.GetPriority())})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListLocations lists the locations by priority.
func (s *Server) ListLocations(ctx context.Context, _ *inventoryv1.ListLocationsRequest) (*inventoryv1.ListLocationsResponse, error) {
	all, err := s.Stock.Locations(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]*inventoryv1.Location, len(all))
	for i, l := range all {
		list[i] = &inventoryv1.Location{Id: l.ID, Name: l.Name, Priority: int32(l.Priority)}
	}
	return &inventoryv1.ListLocationsResponse{Locations: list}, nil
}
