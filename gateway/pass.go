package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// The bounds of what is passed on to a room in another process.
const (
	PassPatience = 5 * time.Second       // how long a room that is away is asked again
	passRetryMin = 20 * time.Millisecond // between the first two tries, doubled for each further one
	passRetryMax = 500 * time.Millisecond
	passGrace    = 250 * time.Millisecond // by which a room may be late to say that the time is over
)

// Pass hands requests on to a room in another process over a transport that knows where the room is. What rest.Forward
// writes travels along; the room's answer comes back as it is.
//
// A request that was provably not sent is sent again while the room is away, up to PassPatience and its own time; one
// that may have been heard only if it is safe to hear twice: a reading, or one that carries an Idempotency-Key.
func Pass(room string, transport http.RoundTripper, log *slog.Logger) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     &insistent{transport},
		FlushInterval: -1, // an export is sent as it comes
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", room, room
			rest.Forward(p.In.Context(), p.Out.Header)
			p.Out = p.Out.WithContext(patient(p.In.Context()))
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.LogAttrs(r.Context(), slog.LevelWarn, "a room was not reached", slog.String("room", room), slog.String("cause", err.Error()))
			rest.Refuse(w, r, unreached(room, err))
		},
	}
}

// unreached explains why a room did not answer.
func unreached(room string, err error) *problem.Error {
	switch {
	case errors.Is(err, context.Canceled):
		return problem.New(problem.Timeout, "canceled", "The caller hung up; whether it was done is not known.").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Timeout, "deadline_exceeded", "It took too long; whether it was done is not known.").Because(err)
	case neverSent(err):
		return problem.Newf(problem.Unavailable, "not_ready", "The %s service is not ready; try again in a moment.", room).After(inFlightRetry).Because(err)
	}
	return problem.Newf(problem.Unavailable, "not_ready", "The %s service broke off; whether it was done is not known.", room).After(inFlightRetry).Because(err)
}

// neverSent says that no byte of a request has left: there was no connection.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// bound is when the route's time is over, in the context of a request that goes on for longer.
type bound struct{}

// patient goes on after the route's time, as an export does that has begun to answer; it ends when the client hangs up.
func patient(ctx context.Context) context.Context {
	of := rest.CallFrom(ctx).Patient
	if of == nil {
		return ctx
	}
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithValue(of, bound{}, deadline)
	}
	return of
}

// insistent is a transport that tries again where that is safe.
type insistent struct{ beneath http.RoundTripper }

// RoundTrip asks until there is an answer, within the bounds of Pass and the route's time.
func (i *insistent) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := taken(r)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(PassPatience)
	for pause := passRetryMin; ; pause = min(2*pause, passRetryMax) {
		answer, err := i.try(again(r, body))
		safe := err != nil && (neverSent(err) || repeatable(r))
		if !safe || late(r.Context()) || time.Now().After(until) {
			return answer, err
		}
		if clock.Sleep(r.Context(), pause/2+rand.N(pause/2+1)) != nil {
			return nil, err
		}
	}
}

// try waits for an answer's header until the route's time is over and a little longer, for the room's own word on that.
func (i *insistent) try(r *http.Request) (*http.Response, error) {
	deadline, bounded := r.Context().Value(bound{}).(time.Time)
	if !bounded {
		return i.beneath.RoundTrip(r)
	}
	ctx, hangUp := context.WithCancel(r.Context())
	over := time.AfterFunc(time.Until(deadline)+passGrace, hangUp)
	answer, err := i.beneath.RoundTrip(r.WithContext(ctx)) // the body may be read after the deadline: ctx ends with the request
	if !over.Stop() && err != nil && r.Context().Err() == nil {
		err = context.DeadlineExceeded
	}
	return answer, err
}

// late says that nobody waits for an answer any more.
func late(ctx context.Context) bool {
	deadline, bounded := ctx.Value(bound{}).(time.Time)
	return ctx.Err() != nil || bounded && time.Now().After(deadline)
}

// taken is the body as bytes of its own: the gateway uses its buffer again once the request is answered, and a transport
// may still be reading then.
func taken(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	return io.ReadAll(r.Body) // the gateway has bounded it
}

func again(r *http.Request, body []byte) *http.Request {
	fresh := r.Clone(r.Context())
	if body != nil {
		fresh.ContentLength = int64(len(body))
		fresh.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		fresh.Body, _ = fresh.GetBody() // never fails
	}
	return fresh
}

func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return rest.CallFrom(r.Context()).IdempotencyKey != ""
}
