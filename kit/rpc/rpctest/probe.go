package rpctest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
)

// waitMax bounds how long the probe waits for its context to end: long enough
// to be the suite's failure, not the test binary's.
const waitMax = 5 * time.Second

// errPlain is an error whose identity and text must not cross.
var errPlain = errors.New("dial 10.0.0.7: password wrong")

// probe is the server of the suite.
type probe struct {
	rpctestv1.UnimplementedProbeServer
	self  rpctestv1.ProbeClient // the room's connection to itself, for inner calls
	ended chan error            // why the context of "wait" and "derive" ended

	mu    sync.Mutex
	items []string
}

func newProbe() *probe { return &probe{ended: make(chan error, 4)} }

func (p *probe) kept() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.items
}

// Ask does what the request says.
func (p *probe) Ask(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	switch in.What {
	case "echo":
		return seen(ctx, in), nil
	case "scribble":
		in.Items[0] = "scribbled"
		p.mu.Lock()
		defer p.mu.Unlock()
		p.items = in.Items
		return &rpctestv1.AskResponse{Items: p.items}, nil
	case "value":
		return &rpctestv1.AskResponse{Text: fmt.Sprint(ctx.Value(ctxKey{}))}, nil
	case "metadata":
		return &rpctestv1.AskResponse{Items: metadata.ValueFromIncomingContext(ctx, in.Text)}, nil
	case "inner":
		return p.self.Ask(ctx, &rpctestv1.AskRequest{What: "echo"})
	case "headers", "headers and fail":
		return p.headers(ctx, in)
	case "wait", "derive":
		return p.wait(ctx, in)
	}
	return p.fail(in)
}

func (p *probe) headers(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	rpc.SetStatus(ctx, 202)
	rpc.SetHeader(ctx, "Location", "/api/things/1")
	rpc.SetETag(ctx, "v7")
	if in.What == "headers" {
		return &rpctestv1.AskResponse{}, nil
	}
	return nil, problem.New(problem.Conflict, "in_progress", "Wait.")
}

func (p *probe) wait(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	if in.What == "derive" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(context.WithValue(ctx, ctxKey{}, 1))
		defer cancel()
	}
	select {
	case <-ctx.Done():
		p.ended <- ctx.Err()
		return nil, ctx.Err()
	case <-time.After(waitMax):
		err := errors.New("the context did not end")
		p.ended <- err
		return nil, err
	}
}

func (p *probe) fail(in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	switch in.What {
	case "problem":
		return nil, soldOut()
	case "wrapped":
		return nil, fmt.Errorf("hold stock: %w", soldOut())
	case "plain":
		return nil, errPlain
	case "panic":
		panic("the probe panics as it was told to")
	case "nothing":
		return nil, nil
	}
	return nil, problem.Field("what", "unknown", "is not in the script")
}

// soldOut is a refusal with everything that may cross, and a cause that may not.
func soldOut() *problem.Error {
	return problem.New(problem.Unprocessable, "sold_out", "Only 2 are left — “mugs”.").
		On("lines[0].quantity", "too_many", "at most 2").
		On("lines[1].sku", "unknown", "no such SKU").
		With("order", "ord_1").With("kind", "not the kind").
		After(1500 * time.Millisecond).
		Because(errPlain)
}

// AskOwner is Ask for owners.
func (p *probe) AskOwner(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	return p.Ask(ctx, in)
}

// AskStaff is Ask for staff.
func (p *probe) AskStaff(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	return p.Ask(ctx, in)
}

// AskService is Ask for other rooms.
func (p *probe) AskService(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	return p.Ask(ctx, in)
}

// AskAgain is Ask for other rooms, which may be heard twice.
func (p *probe) AskAgain(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	return p.Ask(ctx, in)
}

// AskOnce is Ask for staff, with an idempotency key.
func (p *probe) AskOnce(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	return p.Ask(ctx, in)
}

// seen is what the handler knows of its call.
func seen(ctx context.Context, in *rpctestv1.AskRequest) *rpctestv1.AskResponse {
	key, digest, ok := rpc.IdempotencyKey(ctx)
	if ok {
		key = fmt.Sprintf("%s %x", key, digest[:2])
	}
	out := &rpctestv1.AskResponse{
		Text:           in.Text,
		Items:          in.Items,
		Principal:      auth.From(ctx).String(),
		RequestId:      rpc.RequestID(ctx),
		IdempotencyKey: key,
		OnBehalfOf:     rpc.OnBehalfOf(ctx),
	}
	if shop := auth.From(ctx).Shop; shop != "" {
		out.Principal += "@" + shop
	}
	if d, ok := ctx.Deadline(); ok {
		out.DeadlineMicros = time.Until(d).Microseconds()
	}
	return out
}
