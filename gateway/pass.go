package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// passGrace is by how much a room in another process may be late to say itself that the time is over.
const passGrace = 250 * time.Millisecond

// Pass hands requests on to a room in another process, over a transport that knows where the room is and when a request
// may be tried again. What rest.Forward writes travels along; the room's answer comes back as it is. An error of the
// transport that is a problem is the answer, any other says that the room broke off.
func Pass(room string, transport http.RoundTripper, log *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Transport:  &bounded{transport},
		BufferPool: &passBuffers,
		ErrorLog:   slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", room, room
			rest.Forward(p.In.Context(), p.Out.Header)
			p.Out = p.Out.WithContext(patient(p.In.Context()))
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.LogAttrs(r.Context(), slog.LevelWarn, "a room did not answer", slog.String("room", room), slog.String("cause", err.Error()))
			rest.Refuse(w, r, unanswered(room, err))
		},
	}
}

// passBuffer is how much of an answer is passed on at once, in bytes.
const passBuffer = 32 << 10

// passBuffers are used again: one for each request would be most of what the front door allocates.
var passBuffers buffers

type buffers struct{ kept sync.Pool }

// Get is a buffer to pass an answer on with.
func (b *buffers) Get() []byte {
	if kept, ok := b.kept.Get().(*[]byte); ok {
		return *kept
	}
	return make([]byte, passBuffer)
}

// Put takes one back.
func (b *buffers) Put(buffer []byte) { b.kept.Put(&buffer) }

// unanswered explains why a room did not answer.
func unanswered(room string, err error) *problem.Error {
	switch p := problem.Of(err); {
	case p != nil:
		return p
	case errors.Is(err, context.Canceled):
		return problem.New(problem.Timeout, "canceled", "The caller hung up; whether it was done is not known.").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Timeout, "deadline_exceeded", "It took too long; whether it was done is not known.").Because(err)
	}
	return problem.Newf(problem.Unavailable, "not_ready", "The %s service broke off; whether it was done is not known.", room).After(inFlightRetry).Because(err)
}

// over is when the route's time is, in the context of a request that may go on for longer.
type over struct{}

// patient goes on after the route's time, as an export does that has begun to answer; it ends when the client hangs up.
func patient(ctx context.Context) context.Context {
	of := rest.CallFrom(ctx).Patient
	if of == nil {
		return ctx
	}
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithValue(of, over{}, deadline)
	}
	return of
}

// bounded gives an answer's header no longer than the route's time.
type bounded struct{ beneath http.RoundTripper }

// RoundTrip sends the request with a body of its own that can be sent twice: the gateway uses its buffer again once the
// request is answered, and a transport may still be reading then.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		body, err := io.ReadAll(r.Body) // the gateway has bounded it
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.ContentLength = int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	deadline, ok := r.Context().Value(over{}).(time.Time)
	if !ok {
		return b.beneath.RoundTrip(r)
	}
	ctx, hangUp := context.WithCancel(r.Context())
	late := time.AfterFunc(time.Until(deadline)+passGrace, hangUp)
	answer, err := b.beneath.RoundTrip(r.WithContext(ctx)) // the body may be read after the deadline: ctx ends with the request
	if !late.Stop() && err != nil && r.Context().Err() == nil {
		err = context.DeadlineExceeded
	}
	return answer, err
}
