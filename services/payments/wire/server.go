// Package wire is payments on the wire: its service, the provider's webhooks
// and the events that it publishes.
package wire

import (
	"context"
	"log/slog"
	"math"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
)

// stateNone is the state of an intent that does not exist.
const stateNone = "none"

// Server serves the contract.
type Server struct {
	paymentsv1.UnimplementedPaymentsServer
	App *app.Payments
	Log *slog.Logger // of what webhooks' senders are not told
}

// Serve offers the contract to other rooms and, as REST, to the world; mux may
// be nil where there is no front door.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge func() grpc.ClientConnInterface) error {
	paymentsv1.RegisterPaymentsServer(r, s)
	if mux == nil {
		return nil
	}
	mux.Handle(WebhookPattern, Webhooks(s.App, s.Log))
	return paymentsv1.RegisterPaymentsHandlerClient(ctx, mux.ServeMux(), paymentsv1.NewPaymentsClient(edge()))
}

// Authorize asks the provider for an order's money.
func (s *Server) Authorize(ctx context.Context, r *paymentsv1.AuthorizeRequest) (*paymentsv1.Intent, error) {
	amount, err := protomoney.To(r.GetAmount())
	if err != nil {
		return nil, err
	}
	return answer(s.App.Authorize(ctx, app.Authorization{
		Order: r.GetOrderId(), Run: r.GetRunId(), Attempt: int(r.GetAttempt()), Amount: amount,
		Provider: r.GetProvider(), Token: r.GetToken(),
	}))
}

// Cancel undoes what Authorize did for a run.
func (s *Server) Cancel(ctx context.Context, r *paymentsv1.CancelRequest) (*paymentsv1.Intent, error) {
	return answer(s.App.Cancel(ctx, app.Cancellation{Order: r.GetOrderId(), Run: r.GetRunId(), Reason: r.GetReason()}))
}

// GetIntent reads an intent.
func (s *Server) GetIntent(ctx context.Context, r *paymentsv1.GetIntentRequest) (*paymentsv1.Intent, error) {
	return answer(s.App.Get(ctx, r.GetIntentId()))
}

// ListIntents lists intents, oldest first.
func (s *Server) ListIntents(ctx context.Context, r *paymentsv1.ListIntentsRequest) (*paymentsv1.ListIntentsResponse, error) {
	if after := r.GetPageToken(); after != "" && !id.Has("pay", after) {
		return nil, problem.Field("page_token", "malformed", "must be the cursor of the page before")
	}
	page, next, err := s.App.List(ctx, app.Selection{
		After: r.GetPageToken(), Limit: int(r.GetPageSize()), Order: r.GetOrderId(), State: intent.State(r.GetState()),
	})
	if err != nil {
		return nil, err
	}
	out := &paymentsv1.ListIntentsResponse{Intents: make([]*paymentsv1.Intent, len(page)), NextPageToken: next}
	for n := range page {
		out.Intents[n] = intentOut(page[n])
	}
	return out, nil
}

// ListAccounts reads the balances of the ledger.
func (s *Server) ListAccounts(ctx context.Context, _ *paymentsv1.ListAccountsRequest) (*paymentsv1.ListAccountsResponse, error) {
	accounts, err := s.App.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	out := &paymentsv1.ListAccountsResponse{Accounts: make([]*paymentsv1.Account, len(accounts))}
	for n, a := range accounts {
		out.Accounts[n] = &paymentsv1.Account{Name: a.Name, Balance: protomoney.From(a.Balance), Postings: count(a.Lines)}
	}
	return out, nil
}

// Findings checks the room's rows, the ledger and the provider's books.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	audit, err := s.App.Audit(ctx)
	if err != nil {
		return nil, err
	}
	out := &typev1.FindingsResponse{
		Findings: make([]*typev1.Finding, len(audit.Findings)), Checked: count(audit.Checked),
		Truncated: audit.Truncated, Head: audit.Head,
	}
	for n, f := range audit.Findings {
		out.Findings[n] = &typev1.Finding{
			Guarantee: int32(f.Guarantee), Rule: f.Rule, Subject: f.Subject, Message: f.Found + "; expected " + f.Wanted,
		}
	}
	return out, nil
}

func answer(i intent.Intent, err error) (*paymentsv1.Intent, error) {
	if err != nil {
		return nil, err
	}
	return intentOut(i), nil
}

func intentOut(i intent.Intent) *paymentsv1.Intent {
	if i.ID == "" {
		return &paymentsv1.Intent{OrderId: i.Order, State: stateNone}
	}
	out := &paymentsv1.Intent{
		Id: i.ID, OrderId: i.Order, State: string(i.State), Amount: protomoney.From(i.Amount), Provider: i.Provider,
		ProviderId: i.ProviderID, Attempt: int32(i.Attempt), MultiCapture: i.MultiCapture,
		Captured:  protomoney.Minor(i.CapturedMinor, i.Amount.Currency),
		Refunded:  protomoney.Minor(i.RefundedMinor, i.Amount.Currency),
		CreatedAt: timestamppb.New(i.CreatedAt), UpdatedAt: timestamppb.New(i.UpdatedAt),
	}
	if i.State == intent.Declined || i.State == intent.Failed {
		out.DeclineCode = i.Reason
	}
	return out
}

// count is a number of rows as the contract has it.
func count(n int) int32 { return int32(min(n, math.MaxInt32)) }
