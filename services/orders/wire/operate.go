package wire

import (
	"context"
	"strconv"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/view"
)

const (
	runsDefault  = 50
	runsMax      = 200
	factsDefault = 500
	factsMax     = 1000
)

// ListRuns lists saga runs.
func (s *Server) ListRuns(ctx context.Context, req *ordersv1.ListRunsRequest) (*ordersv1.ListRunsResponse, error) {
	if err := oneOf("state", req.State, "running", "compensating", "parked", "done", "abandoned"); err != nil {
		return nil, err
	}
	limit, after, err := page(req.PageSize, req.PageToken, runsDefault, runsMax)
	if err != nil {
		return nil, err
	}
	runs, next, err := s.App.Runs(ctx, saga.Filter{State: saga.State(req.State), After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	res := &ordersv1.ListRunsResponse{}
	if next != "" {
		res.NextPageToken = cursor(next)
	}
	for _, r := range runs {
		res.Runs = append(res.Runs, runMessage(r, nil))
	}
	return res, nil
}

// GetRun reads one run with its audit.
func (s *Server) GetRun(ctx context.Context, req *ordersv1.GetRunRequest) (*ordersv1.Run, error) {
	run, audit, err := s.App.Run(ctx, req.RunId)
	if err != nil {
		return nil, err
	}
	return runMessage(run, audit), nil
}

// ResolveRun lets an operator act on a parked run.
func (s *Server) ResolveRun(ctx context.Context, req *ordersv1.ResolveRunRequest) (*ordersv1.Run, error) {
	if len(req.Reason) > 500 {
		return nil, problem.Field("reason", "too_long", "at most 500 characters")
	}
	err := s.App.Resolve(ctx, app.Resolution{RunID: req.RunId, Action: req.Action, Reason: req.Reason, Meta: s.meta(ctx, auth.From(ctx))})
	if err != nil {
		return nil, err
	}
	return s.GetRun(ctx, &ordersv1.GetRunRequest{RunId: req.RunId})
}

func runMessage(r saga.Run, audit []saga.Audit) *ordersv1.Run {
	m := &ordersv1.Run{
		Id: r.ID, Saga: r.Saga, Version: int32(r.Version), State: string(r.State), Step: r.Step, Attempt: int32(r.Attempt),
		NextAt: timestamp(r.NextAt), LastError: r.LastError, StartedAt: timestamp(r.StartedAt),
	}
	for _, a := range audit {
		m.Audit = append(m.Audit, &ordersv1.RunAudit{Action: a.Action, Actor: a.Actor, Reason: a.Reason, At: timestamp(a.At)})
	}
	return m
}

// ListFacts lists what souk verify compares with other rooms.
func (s *Server) ListFacts(ctx context.Context, req *ordersv1.ListFactsRequest) (*ordersv1.ListFactsResponse, error) {
	limit, _, err := page(req.PageSize, req.PageToken, factsDefault, factsMax)
	if err != nil {
		return nil, err
	}
	after, err := position(req.PageToken)
	if err != nil {
		return nil, err
	}
	facts, next, err := s.App.Facts(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	res := &ordersv1.ListFactsResponse{}
	for i := range facts {
		res.Orders = append(res.Orders, factMessage(&facts[i]))
	}
	if next != 0 {
		res.NextPageToken = cursor(strconv.FormatInt(next, 10))
	}
	return res, nil
}

func factMessage(f *app.Fact) *ordersv1.OrderFact {
	o, c := &f.Order, f.Currency
	return &ordersv1.OrderFact{
		OrderId: f.OrderID, State: f.State, RunState: f.RunState, Total: protomoney.Minor(f.Total, c),
		Pieces: f.Pieces, IntentId: f.IntentID, PlacedAt: timestamp(f.PlacedAt),
		Credit: protomoney.Minor(o.Credit, c), Captured: protomoney.Minor(o.Taken(), c), Refunded: protomoney.Minor(o.GivenBack(), c),
		Dispatched: f.Dispatched, Returned: f.Returned, Canceled: f.Canceled, Unsettled: o.Unsettled(),
	}
}

// position reads a cursor that is a position of the log; none is the beginning.
func position(token string) (int64, error) {
	_, text, err := page(0, token, 1, 1)
	if err != nil || text == "" {
		return 0, err
	}
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, badToken()
	}
	return after, nil
}

// Findings checks a page of the room's own rows.
func (s *Server) Findings(ctx context.Context, req *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	after, err := position(req.PageToken)
	if err != nil {
		return nil, err
	}
	head := s.App.Log.Head()
	page, err := view.Findings(ctx, s.Orders, s.App, after)
	if err != nil {
		return nil, err
	}
	res := &typev1.FindingsResponse{Checked: int32(page.Checked), Head: head}
	for _, f := range page.Found {
		res.Findings = append(res.Findings, &typev1.Finding{Guarantee: int32(f.Guarantee), Rule: f.Rule, Subject: f.Subject, Message: f.Message})
	}
	if page.Next != 0 {
		res.NextPageToken = cursor(strconv.FormatInt(page.Next, 10))
	}
	standings, err := s.Bus.Standings(ctx, Consumers...)
	for _, c := range standings {
		res.Consumers = append(res.Consumers, &typev1.ConsumerPosition{
			Consumer: c.Consumer, Source: c.Source, Position: c.Position, Letters: int32(c.Letters),
		})
	}
	return res, err
}
