package wire

import (
	"context"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/order"
)

// reasonMax bounds a reason, in characters; returnLinesMax the lines of a return.
const (
	reasonMax      = 200
	returnLinesMax = 2000
)

// CancelOrder calls off what has not been dispatched.
func (s *Server) CancelOrder(ctx context.Context, req *ordersv1.CancelOrderRequest) (*ordersv1.Order, error) {
	if err := checkReason(req.Reason, false); err != nil {
		return nil, err
	}
	p := auth.From(ctx)
	o, err := s.App.Cancel(ctx, p, req.OrderId, req.Reason, s.because(ctx, p, req.Reason))
	if err != nil {
		return nil, err
	}
	if o.Status == order.Canceling {
		rpc.SetStatus(ctx, http.StatusAccepted)
		rpc.SetHeader(ctx, "Location", "/api/orders/"+o.ID)
	}
	return orderMessage(&o), nil
}

// CaptureOrder takes money before dispatch does, or tries again what is due.
func (s *Server) CaptureOrder(ctx context.Context, req *ordersv1.CaptureOrderRequest) (*ordersv1.Order, error) {
	if err := checkReason(req.Reason, false); err != nil {
		return nil, err
	}
	amount, err := s.amountOf(ctx, req.OrderId, "amount", req.Amount)
	if err != nil {
		return nil, err
	}
	minor := int64(0)
	if amount != nil {
		if amount.Minor <= 0 {
			return nil, problem.Field("amount", "out_of_range", "must be more than nothing")
		}
		minor = amount.Minor
	}
	p := auth.From(ctx)
	o, err := s.App.Capture(ctx, p, req.OrderId, minor, s.key(ctx, p, "capture"), s.because(ctx, p, req.Reason))
	if err != nil {
		return nil, err
	}
	rpc.SetStatus(ctx, http.StatusAccepted)
	rpc.SetHeader(ctx, "Location", "/api/orders/"+o.ID)
	return orderMessage(&o), nil
}

// OpenReturn announces what comes back.
func (s *Server) OpenReturn(ctx context.Context, req *ordersv1.OpenReturnRequest) (*ordersv1.Return, error) {
	p := auth.From(ctx)
	if err := announced(p, req); err != nil {
		return nil, err
	}
	opening := order.Opening{Reason: req.Reason, Reference: req.Reference, Lines: returnedLines(req.Lines)}
	receipt, err := s.receipt(ctx, p, req)
	if err == nil {
		err = checkOpening(req)
	}
	if err != nil {
		return nil, err
	}
	o, returnID, err := s.App.OpenReturn(ctx, p, req.OrderId, opening, receipt, s.key(ctx, p, "return"), s.because(ctx, p, req.Reason))
	if err != nil {
		return nil, err
	}
	rpc.SetStatus(ctx, http.StatusCreated)
	return ReturnMessage(&o, o.Return(returnID)), nil
}

// announced refuses what only staff may say of a return: what becomes of the goods, and the merchant's own number.
func announced(p auth.Principal, req *ordersv1.OpenReturnRequest) error {
	if p.Staff() {
		return nil
	}
	writtenOff := slices.ContainsFunc(req.Lines, func(l *ordersv1.ReturnLine) bool { return l.GetWriteOff() })
	if writtenOff || req.Reference != "" {
		return problem.New(problem.Forbidden, "staff_only", "only the staff of the shop writes goods off and gives returns a number of its own")
	}
	return nil
}

func checkOpening(req *ordersv1.OpenReturnRequest) error {
	switch {
	case len(req.Lines) > returnLinesMax:
		return problem.Field("lines", "too_many", "at most 2000 lines")
	case req.Reference != "" && !id.Valid(req.Reference):
		return problem.Field("reference", "malformed", "1 to 64 letters, digits, dots, dashes or underscores")
	}
	return checkReason(req.Reason, false)
}

// receipt is what staff says of a return that is here already; nil when it is only announced.
func (s *Server) receipt(ctx context.Context, p auth.Principal, req *ordersv1.OpenReturnRequest) (*order.Receipt, error) {
	if !req.Received && req.Refund == nil && req.ReceivedAt == nil {
		return nil, nil
	}
	switch {
	case !p.Staff():
		return nil, problem.New(problem.Forbidden, "staff_only", "only the staff of the shop takes returns in").On("received", "staff_only", "announce the return without it")
	case !req.Received:
		return nil, problem.Field("received", "required", "a refund and a time are said of a return that is here")
	}
	return s.came(ctx, req.OrderId, req.Refund, req.ReceivedAt)
}

func (s *Server) came(ctx context.Context, orderID string, refund *typev1.Money, at *timestamppb.Timestamp) (*order.Receipt, error) {
	when, err := s.App.At("received_at", timeOf(at))
	if err != nil {
		return nil, err
	}
	amount, err := s.amountOf(ctx, orderID, "refund", refund)
	if err != nil {
		return nil, err
	}
	receipt := &order.Receipt{At: when}
	if amount != nil {
		receipt.Refund = &amount.Minor
	}
	return receipt, nil
}

// ReceiveReturn takes a return in.
func (s *Server) ReceiveReturn(ctx context.Context, req *ordersv1.ReceiveReturnRequest) (*ordersv1.Return, error) {
	if len(req.Lines) > returnLinesMax {
		return nil, problem.Field("lines", "too_many", "at most 2000 lines")
	}
	receipt, err := s.came(ctx, req.OrderId, req.Refund, req.ReceivedAt)
	if err != nil {
		return nil, err
	}
	receipt.ID, receipt.Lines = req.ReturnId, returnedLines(req.Lines)
	p := auth.From(ctx)
	o, err := s.App.ReceiveReturn(ctx, p, req.OrderId, *receipt, s.meta(ctx, p))
	if err != nil {
		return nil, err
	}
	return ReturnMessage(&o, o.Return(req.ReturnId)), nil
}

// CloseReturn gives an open return up.
func (s *Server) CloseReturn(ctx context.Context, req *ordersv1.CloseReturnRequest) (*ordersv1.Return, error) {
	if err := checkReason(req.Reason, false); err != nil {
		return nil, err
	}
	p := auth.From(ctx)
	o, err := s.App.CloseReturn(ctx, p, req.OrderId, req.ReturnId, req.Reason, s.because(ctx, p, req.Reason))
	if err != nil {
		return nil, err
	}
	return ReturnMessage(&o, o.Return(req.ReturnId)), nil
}

// RefundOrder gives money back without a return.
func (s *Server) RefundOrder(ctx context.Context, req *ordersv1.RefundOrderRequest) (*ordersv1.OrderRefund, error) {
	if err := checkReason(req.Reason, true); err != nil {
		return nil, err
	}
	if req.Amount == nil {
		return nil, problem.Field("amount", "required", "say how much is given back")
	}
	amount, err := s.amountOf(ctx, req.OrderId, "amount", req.Amount)
	if err != nil {
		return nil, err
	}
	p := auth.From(ctx)
	r, err := s.App.Refund(ctx, p, req.OrderId, amount.Minor, req.Reason, s.key(ctx, p, "refund"), s.meta(ctx, p))
	if err != nil {
		return nil, err
	}
	rpc.SetStatus(ctx, http.StatusAccepted)
	return refundMessage(req.OrderId, amount.Currency, &r), nil
}

// amountOf reads an amount in the currency of an order; nil when none was sent.
func (s *Server) amountOf(ctx context.Context, orderID, field string, m *typev1.Money) (*money.Money, error) {
	if m == nil {
		return nil, nil
	}
	amount, err := money.Parse(m.Amount, m.Currency)
	if err != nil {
		return nil, malformed(field, err)
	}
	currency, err := s.App.Currency(ctx, orderID)
	if err == nil && currency != "" && currency != amount.Currency { // "": the command says that there is no such order
		err = problem.Field(field, "currency_mismatch", "the order is in "+currency)
	}
	return &amount, err
}

func returnedLines(lines []*ordersv1.ReturnLine) []order.ReturnedLine {
	out := make([]order.ReturnedLine, len(lines))
	for i, l := range lines {
		out[i] = order.ReturnedLine{Line: l.GetLine(), Quantity: l.GetQuantity(), WriteOff: l.GetWriteOff()}
	}
	return out
}

func checkReason(reason string, required bool) error {
	switch {
	case reason == "" && required:
		return problem.Field("reason", "required", "say why: it is kept in the order's history")
	case utf8.RuneCountInString(reason) > reasonMax:
		return problem.Field("reason", "too_long", "at most 200 characters")
	}
	return nil
}

// key is the idempotency key of a command.
func (s *Server) key(ctx context.Context, p auth.Principal, method string) idem.Key {
	key, digest, _ := rpc.IdempotencyKey(ctx)
	return idem.Key{Shop: s.App.Shop, Principal: p.String(), Method: method, Key: key, Digest: digest}
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
