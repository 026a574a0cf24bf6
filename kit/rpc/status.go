package rpc

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seed-21071466/souk/kit/problem"
)

// The refusals that a connection makes up itself.
const (
	codeUnknownMethod = "unknown_method"
	codeCanceled      = "canceled"
	codeDeadline      = "deadline_exceeded"
	codeInternal      = "internal"
)

const (
	errorDomain   = "souk"         // of errdetails.ErrorInfo
	unheardDomain = "souk.unheard" // of another one, when no handler has seen the call
	metaKind      = "kind"         // problem.Kind, in ErrorInfo.metadata
	metaPrefix    = "meta."        // a member of problem.Error.Meta, in ErrorInfo.metadata
)

// byKind maps a kind to its gRPC code; the kind itself travels in the details.
var byKind = map[problem.Kind]codes.Code{
	problem.Internal:        codes.Internal,
	problem.Invalid:         codes.InvalidArgument,
	problem.Unauthenticated: codes.Unauthenticated,
	problem.PaymentRequired: codes.FailedPrecondition,
	problem.Forbidden:       codes.PermissionDenied,
	problem.NotFound:        codes.NotFound,
	problem.Conflict:        codes.Aborted,
	problem.TooLarge:        codes.OutOfRange,
	problem.Unprocessable:   codes.FailedPrecondition,
	problem.TooMany:         codes.ResourceExhausted,
	problem.Unavailable:     codes.Unavailable,
	problem.Timeout:         codes.DeadlineExceeded,
}

// callError is an error as the caller of another room receives it: a problem
// for our code (problem.Of), a status for gRPC's.
type callError struct {
	room    string
	problem *problem.Error
}

func (e *callError) Error() string { return "call " + e.room + ": " + e.problem.Error() }

func (e *callError) Unwrap() error { return e.problem }

// GRPCStatus makes status.FromError work.
func (e *callError) GRPCStatus() *status.Status { return statusOf(e.problem) }

// delivered is what is left of an error after the journey: no identity, no cause.
func (c *conn) delivered(err error) error {
	return &callError{c.room, describe(err).Clone()}
}

// ToStatus is an error as it crosses the wire: its problem with all details
// but the cause; anything else says no more than that it is our fault.
func ToStatus(err error) *status.Status {
	if err == nil {
		return nil
	}
	return statusOf(describe(err))
}

// FromStatus is the problem that a received error stands for, nil for nil.
func FromStatus(err error) *problem.Error {
	if err == nil {
		return nil
	}
	return describe(err)
}

// describe finds the problem in an error, or what stands for it.
func describe(err error) *problem.Error {
	if p := problem.Of(err); p != nil {
		return p
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Timeout, codeDeadline, "It took too long; whether it was done is not known.").Because(err)
	case errors.Is(err, context.Canceled):
		return problem.New(problem.Timeout, codeCanceled, "The caller hung up; whether it was done is not known.").Because(err)
	}
	if st, ok := status.FromError(err); ok && st.Code() != codes.OK {
		return problemOf(st).Because(err)
	}
	return problem.New(problem.Internal, codeInternal, "Something went wrong on our side; it has been noted.").Because(err)
}

func codeOf(p *problem.Error) codes.Code {
	switch p.Code {
	case codeUnknownMethod:
		return codes.Unimplemented
	case codeCanceled:
		return codes.Canceled
	case codeLost:
		return codes.Unavailable
	}
	if code, ok := byKind[p.Kind]; ok {
		return code
	}
	return codes.Internal
}

func statusOf(p *problem.Error) *status.Status {
	info := &errdetails.ErrorInfo{Reason: p.Code, Domain: errorDomain, Metadata: map[string]string{metaKind: p.Kind.String()}}
	for k, v := range p.Meta {
		info.Metadata[metaPrefix+k] = v
	}
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(info)}
	if len(p.Violations) > 0 {
		bad := new(errdetails.BadRequest)
		for _, v := range p.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: v.Field, Reason: v.Code, Description: v.Message})
		}
		details = append(details, protoadapt.MessageV1Of(bad))
	}
	if p.RetryAfter > 0 {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(p.RetryAfter)}))
	}
	st := status.New(codeOf(p), p.Message)
	if full, err := st.WithDetails(details...); err == nil {
		return full
	}
	return st
}

// unheardStatus is the refusal of a call that no handler has seen: it may be made again, whatever it does.
func unheardStatus(p *problem.Error) *status.Status {
	st := statusOf(p)
	if full, err := st.WithDetails(&errdetails.ErrorInfo{Reason: "unheard", Domain: unheardDomain}); err == nil {
		return full
	}
	return st
}

func unheard(st *status.Status) bool {
	return slices.ContainsFunc(st.Details(), func(d any) bool {
		info, ok := d.(*errdetails.ErrorInfo)
		return ok && info.Domain == unheardDomain
	})
}

// problemOf reads what statusOf wrote; a status from elsewhere keeps its code.
func problemOf(st *status.Status) *problem.Error {
	if p, ours := problemIn(st); ours {
		return p
	}
	return foreign(st)
}

// problemIn reads what statusOf wrote; false for a status from elsewhere.
func problemIn(st *status.Status) (p *problem.Error, ours bool) {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == errorDomain { // comes first
			p = problem.New(problem.KindOf(info.Metadata[metaKind]), info.Reason, st.Message())
			readMeta(p, info.Metadata)
		}
		if p == nil {
			continue
		}
		switch d := d.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.FieldViolations {
				p.On(v.Field, v.Reason, v.Description)
			}
		case *errdetails.RetryInfo:
			p.After(d.RetryDelay.AsDuration())
		}
	}
	return p, p != nil
}

func readMeta(p *problem.Error, metadata map[string]string) {
	for k, v := range metadata {
		if key, ok := strings.CutPrefix(k, metaPrefix); ok {
			p.With(key, v)
		}
	}
}

// foreign is the problem of a status that no room wrote: the transport's, or a
// method that is not implemented. Its message may be internal and stays out.
func foreign(st *status.Status) *problem.Error {
	switch st.Code() {
	case codes.Unavailable:
		return problem.New(problem.Unavailable, "not_ready", "The service is not ready; try again in a moment.").After(notReadyRetry)
	case codes.DeadlineExceeded:
		return problem.New(problem.Timeout, codeDeadline, "It took too long; whether it was done is not known.")
	case codes.Canceled:
		return problem.New(problem.Timeout, codeCanceled, "The caller hung up; whether it was done is not known.")
	case codes.Unimplemented:
		return problem.New(problem.Internal, codeUnknownMethod, "The service does not know this method.")
	case codes.InvalidArgument, codes.OutOfRange:
		return problem.New(problem.Invalid, "invalid_request", "The request is malformed.")
	case codes.Unauthenticated:
		return problem.New(problem.Unauthenticated, "credentials_required", "Credentials are required.")
	case codes.PermissionDenied:
		return problem.New(problem.Forbidden, "forbidden", "This is not allowed.")
	case codes.NotFound:
		return problem.New(problem.NotFound, "not_found", "There is nothing here.")
	case codes.Aborted, codes.AlreadyExists:
		return problem.New(problem.Conflict, "conflict", "It was changed meanwhile; look again.")
	case codes.FailedPrecondition:
		return problem.New(problem.Unprocessable, "unprocessable", "It cannot be done now.")
	case codes.ResourceExhausted:
		return problem.New(problem.TooMany, "too_many_requests", "Too many requests; wait a moment.")
	}
	return problem.New(problem.Internal, codeInternal, "Something went wrong on our side; it has been noted.")
}

// complain logs the cause that the caller will not hear: failures of ours
// loudly, refusals with a cause for whoever looks for them.
func (s *Server) complain(ctx context.Context, m *method, err error) {
	p := describe(err)
	level := slog.LevelDebug
	switch {
	case p.Kind == problem.Internal:
		level = slog.LevelError
	case p.Kind == problem.Unavailable:
		level = slog.LevelWarn
	case p.Unwrap() == nil:
		return
	}
	if s.log.Enabled(ctx, level) {
		s.log.LogAttrs(ctx, level, "rpc refused", slog.String("room", m.room.name), slog.String("rpc", m.name),
			slog.String("code", p.Code), slog.String("request_id", RequestID(ctx)), slog.String("cause", err.Error()))
	}
}
