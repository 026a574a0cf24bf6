package rpc

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// The refusals that only a network has.
const (
	codeLost     = "connection_lost"
	codeTooLarge = "message_too_large"
)

// remoteMethod is one method of a peer with all that a call needs looked up.
type remoteMethod struct {
	name       string
	repeatable bool
	seen       *remoteObserved
}

// method looks a method up; what no contract knows is counted under one name, whatever it is called.
func (p *peer) method(name string) *remoteMethod {
	if m, ok := p.methods.Load(name); ok {
		return m.(*remoteMethod)
	}
	service, short, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if _, err := contractOf(service, short); err != nil {
		return &remoteMethod{name: name, seen: p.seen.of("unknown")}
	}
	m, _ := p.methods.LoadOrStore(name, &remoteMethod{name, repeatable(service, short), p.seen.of(short)})
	return m.(*remoteMethod)
}

// invoke makes a call over the network: the same call, with the same answer, as within the process.
func (p *peer) invoke(ctx context.Context, c *conn, name string, in, out proto.Message, opts []grpc.CallOption) error {
	call, err := c.call(ctx)
	if err != nil {
		return c.delivered(err)
	}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > p.server.timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.server.timeout)
		defer cancel()
	}
	m, began := p.method(name), time.Now()
	p.seen.began()
	header, asked := headerAsked(opts)
	refused := p.try(call.sent(ctx, c.caller), m, in, out, asked)
	p.seen.ended(m.seen, began, refused)
	if header != nil {
		*header = answerHeader(*header)
	}
	if refused != nil {
		return &callError{c.room, refused}
	}
	return nil
}

// try makes the call until it is answered or there is no sense in trying again.
func (p *peer) try(ctx context.Context, m *remoteMethod, in, out proto.Message, opts []grpc.CallOption) *problem.Error {
	p.budget.called()
	for n := 0; ; n++ {
		failed := p.once(ctx, m, in, out, opts)
		if failed == nil {
			return nil
		}
		if !p.again(ctx, failed, m.repeatable, n) {
			return failed.problem
		}
		p.seen.retried(m.seen)
	}
}

func (p *peer) once(ctx context.Context, m *remoteMethod, in, out proto.Message, opts []grpc.CallOption) *failure {
	t := &trying{Context: ctx}
	err := p.conn.Invoke(t, m.name, in, out, opts...)
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	f := &failure{unheard: !t.attempt.sent.Load() || unheard(st)}
	if f.problem, f.answered = problemIn(st); !f.answered {
		f.problem = p.broken(ctx, m, st, f.unheard)
		if st.Code() == codes.Unavailable {
			p.note(err)
		}
	}
	return f
}

// trying is the context of a try; it answers with its attempt itself.
type trying struct {
	context.Context
	attempt attempt
}

func (t *trying) Value(key any) any {
	if key == (attemptKey{}) {
		return &t.attempt
	}
	return t.Context.Value(key)
}

// broken is what a caller hears of a failure that no room answered with.
func (p *peer) broken(ctx context.Context, m *remoteMethod, st *status.Status, unheard bool) *problem.Error {
	switch code := st.Code(); {
	case code == codes.Unimplemented:
		return unknownMethod(p.room, m.name)
	case code == codes.ResourceExhausted:
		return problem.Newf(problem.TooLarge, codeTooLarge, "The request or its answer is larger than the %d MiB that fit into one call.", MessageMax>>20)
	case unheard && code == codes.Unavailable, unheard && code == codes.DeadlineExceeded && ctx.Err() != nil:
		return notReady(p.room)
	case code == codes.Unavailable:
		return lost(p.room)
	}
	return foreign(st)
}

func lost(room string) *problem.Error {
	return problem.Newf(problem.Timeout, codeLost, "The connection to the %s service was lost; whether it was done is not known.", room)
}

// sent is a context that sends along what travels beside the request. What the caller's context says itself comes as it is, but
// only the front door may say for which principal it asks.
func (c *call) sent(ctx context.Context, caller string) context.Context {
	pairs := make([]string, 0, 16)
	put := func(key, value string) {
		if value != "" {
			pairs = append(pairs, key, value)
		}
	}
	put(KeyRequestID, c.requestID)
	put(KeyOnBehalfOf, c.onBehalfOf)
	put(KeyIdempotency, c.key)
	put(KeyDigest, last(c.metadata, KeyDigest))
	if c.edge {
		put(KeyCaller, identity.Gateway)
		put(KeyPrincipal, last(c.metadata, KeyPrincipal))
	} else {
		put(KeyCaller, caller)
		put(KeyShop, c.principal.Shop)
	}
	parent, state := c.trace(ctx)
	put(KeyTraceParent, parent)
	put(KeyTraceState, state)
	if c.metadata == nil {
		return metadata.AppendToOutgoingContext(ctx, pairs...)
	}
	for _, key := range ownKeys {
		delete(c.metadata, key) // the last one of each, which counts, is in pairs
	}
	return metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(ctx, c.metadata), pairs...)
}

// trace is the W3C headers of the span that the call is made in, or those that came with the request.
func (c *call) trace(ctx context.Context) (parent, state string) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return c.traceParent, c.traceState
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[KeyTraceParent], carrier[KeyTraceState]
}

// ownKeys are what this package writes itself.
var ownKeys = []string{KeyRequestID, KeyOnBehalfOf, KeyIdempotency, KeyDigest, KeyCaller, KeyPrincipal, KeyShop, KeyTraceParent, KeyTraceState}

// headerAsked is where a caller wants the answer's header, if it does.
func headerAsked(opts []grpc.CallOption) (*metadata.MD, []grpc.CallOption) {
	for _, o := range opts {
		if h, ok := o.(grpc.HeaderCallOption); ok {
			return h.HeaderAddr, []grpc.CallOption{h}
		}
	}
	return nil, nil
}

// answerHeader is what the handler said by SetStatus and its like.
func answerHeader(all metadata.MD) metadata.MD {
	header := metadata.MD{}
	for key, values := range all {
		if key == KeyStatus || strings.HasPrefix(key, KeyHeaderPrefix) {
			header[key] = values
		}
	}
	return header
}

// noteEvery is how often the log says why a room cannot be reached.
const noteEvery = time.Second

// throttle lets one through in a while.
type throttle struct{ last atomic.Int64 }

func (t *throttle) open(now time.Time, every time.Duration) bool {
	last := t.last.Load()
	return now.UnixNano()-last >= int64(every) && t.last.CompareAndSwap(last, now.UnixNano())
}

// note logs why a room could not be reached, which its callers are not told.
func (p *peer) note(err error) {
	if p.complain.open(time.Now(), noteEvery) {
		p.server.log.LogAttrs(context.Background(), slog.LevelWarn, "room not reached", slog.String("room", p.room), slog.String("target", p.target.String()), slog.String("cause", err.Error()))
	}
}
