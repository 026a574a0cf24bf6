package wire

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/operation"
)

// CapturePayment takes an order's money.
func (s *Server) CapturePayment(ctx context.Context, r *paymentsv1.CaptureRequest) (*paymentsv1.Capture, error) {
	amount, err := protomoney.To(r.GetAmount())
	if err != nil {
		return nil, err
	}
	o, err := s.App.Operate(ctx, app.Demand{
		Kind: operation.Capture, ID: r.GetCaptureId(), Order: r.GetOrderId(), Amount: amount, Final: r.GetFinal(),
	})
	if err != nil {
		return nil, err
	}
	return captureOut(o), nil
}

// RefundPayment gives captured money back.
func (s *Server) RefundPayment(ctx context.Context, r *paymentsv1.RefundRequest) (*paymentsv1.Refund, error) {
	amount, err := protomoney.To(r.GetAmount())
	if err != nil {
		return nil, err
	}
	o, err := s.App.Operate(ctx, app.Demand{
		Kind: operation.Refund, ID: r.GetRefundId(), Order: r.GetOrderId(), Amount: amount, Reason: r.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return refundOut(o), nil
}

// ListCaptures lists captures by order, oldest first.
func (s *Server) ListCaptures(ctx context.Context, r *paymentsv1.ListCapturesRequest) (*paymentsv1.ListCapturesResponse, error) {
	page, next, err := s.operations(ctx, operation.Capture, r)
	if err != nil {
		return nil, err
	}
	out := &paymentsv1.ListCapturesResponse{Captures: make([]*paymentsv1.Capture, len(page)), NextPageToken: next}
	for n := range page {
		out.Captures[n] = captureOut(page[n])
	}
	return out, nil
}

// ListRefunds lists refunds by order, oldest first.
func (s *Server) ListRefunds(ctx context.Context, r *paymentsv1.ListRefundsRequest) (*paymentsv1.ListRefundsResponse, error) {
	page, next, err := s.operations(ctx, operation.Refund, r)
	if err != nil {
		return nil, err
	}
	out := &paymentsv1.ListRefundsResponse{Refunds: make([]*paymentsv1.Refund, len(page)), NextPageToken: next}
	for n := range page {
		out.Refunds[n] = refundOut(page[n])
	}
	return out, nil
}

// selection is what the lists of captures and of refunds ask for alike.
type selection interface {
	GetPageSize() int32
	GetPageToken() string
	GetOrderId() string
	GetState() string
}

func (s *Server) operations(ctx context.Context, kind operation.Kind, r selection) (page []operation.Operation, next string, err error) {
	asked := app.OperationSelection{Kind: kind, Limit: int(r.GetPageSize()), Order: r.GetOrderId()}
	if asked.State, err = stateIn(kind, r.GetState()); err != nil {
		return nil, "", err
	}
	if asked.After, err = placeIn(r.GetPageToken()); err != nil {
		return nil, "", err
	}
	page, more, err := s.App.Operations(ctx, asked)
	if err == nil && more {
		next = placeOut(page[len(page)-1])
	}
	return page, next, err
}

// done is how the contract says that an operation of a kind is done.
func done(kind operation.Kind) string {
	if kind == operation.Capture {
		return "captured"
	}
	return "refunded"
}

func stateIn(kind operation.Kind, word string) (operation.State, error) {
	switch word {
	case "", string(operation.Failed), string(operation.Unknown):
		return operation.State(word), nil
	case done(kind):
		return operation.Done, nil
	}
	return "", problem.Field("state", "unknown", `must be one of "`+done(kind)+`", "failed", "unknown"`)
}

func stateOut(o operation.Operation) string {
	switch {
	case o.State == operation.Done:
		return done(o.Kind)
	case o.State.Open():
		return string(operation.Unknown)
	}
	return string(o.State)
}

// placeOut is the cursor behind an operation.
func placeOut(o operation.Operation) string {
	place := o.Order + "/" + strconv.FormatInt(o.CreatedAt.UnixMicro(), 10) + "/" + o.ID
	return base64.RawURLEncoding.EncodeToString([]byte(place))
}

func placeIn(token string) (p app.Place, err error) {
	if token == "" {
		return p, nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(token)
	parts := strings.Split(string(decoded), "/")
	if err == nil && len(parts) == 3 && id.Valid(parts[0]) && id.Valid(parts[2]) {
		p.Order, p.ID = parts[0], parts[2]
		if p.Created, err = strconv.ParseInt(parts[1], 10, 64); err == nil {
			return p, nil
		}
	}
	return p, badToken()
}

func badToken() error {
	return problem.Field("page_token", "malformed", "must be the cursor of the page before")
}

func captureOut(o operation.Operation) *paymentsv1.Capture {
	out := &paymentsv1.Capture{
		Id: o.ID, OrderId: o.Order, State: stateOut(o), Amount: protomoney.From(o.Amount),
		Credit:    protomoney.Minor(o.CreditMinor, o.Amount.Currency),
		CreatedAt: timestamppb.New(o.CreatedAt), UpdatedAt: timestamppb.New(o.UpdatedAt),
	}
	if o.State == operation.Failed {
		out.FailureCode = o.Code
	}
	return out
}

func refundOut(o operation.Operation) *paymentsv1.Refund {
	out := &paymentsv1.Refund{
		Id: o.ID, OrderId: o.Order, State: stateOut(o), Amount: protomoney.From(o.Amount),
		Credit:    protomoney.Minor(o.CreditMinor, o.Amount.Currency),
		CreatedAt: timestamppb.New(o.CreatedAt), UpdatedAt: timestamppb.New(o.UpdatedAt),
	}
	if o.State == operation.Failed {
		out.FailureCode = o.Code
	}
	return out
}
