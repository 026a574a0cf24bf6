package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// visit is one request from coming in to going out. The room sees it as its
// http.ResponseWriter.
type visit struct {
	http.ResponseWriter
	r      *http.Request
	ctx    context.Context // with the call and the span, before the time bound
	path   string          // escaped
	entry  *entry
	call   *rest.Call
	span   trace.Span // nil: none
	began  time.Time
	status int           // 0: nothing was written
	body   *bytes.Buffer // goes back to the pool
}

func (g *Gateway) newVisit(w http.ResponseWriter, r *http.Request) *visit {
	g.inFlight.Add(1)
	v := &visit{ResponseWriter: w, r: r, path: r.URL.Path, entry: g.lost, began: g.o.Clock.Now()}
	if r.URL.RawPath != "" {
		v.path = r.URL.EscapedPath()
	}
	if found, ok := g.routes.Find(r.Method, v.path); ok {
		v.entry = found.Value
	}
	v.call = &rest.Call{RequestID: g.requestID(r), Route: v.entry.Route.Pattern}
	v.ctx = g.startTrace(rest.WithCall(r.Context(), v.call), v)
	v.call.Patient = v.ctx
	h := w.Header()
	h["X-Request-Id"] = []string{v.call.RequestID}
	line := []string{v.call.TraceParent}
	h[headerTraceParent], r.Header[headerTraceParent] = line, line
	if v.call.TraceState != "" {
		r.Header[headerTraceState] = []string{v.call.TraceState}
	}
	h["X-Content-Type-Options"] = nosniff
	return v
}

var nosniff = []string{"nosniff"}

// requestID is the client's own, if it is one that a log can bear, else made.
func (g *Gateway) requestID(r *http.Request) string {
	if own := r.Header["X-Request-Id"]; len(own) == 1 && id.Valid(own[0]) {
		return own[0]
	}
	return g.o.IDs.New("req")
}

// WriteHeader sends the status and remembers it.
func (v *visit) WriteHeader(status int) {
	if v.status == 0 && status >= 200 {
		v.status = status
	}
	v.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (v *visit) Write(b []byte) (int, error) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	return v.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// leave ends a visit, also one that panicked.
func (g *Gateway) leave(v *visit) {
	failure := recover()
	g.inFlight.Add(-1)
	if failure != nil {
		failure = g.recovered(v, failure)
	} else if v.status == 0 {
		v.status = http.StatusOK // as net/http says for a handler that wrote nothing
	}
	if v.body != nil {
		giveBack(v.body)
	}
	took := g.o.Clock.Now().Sub(v.began)
	g.endTrace(v)
	v.entry.observed.ended(v.r.Method, v.status, took)
	g.log(v, took)
	if failure != nil {
		panic(failure)
	}
}

// recovered turns a panic into a 500 while that can still be said; otherwise
// the connection is cut, so that nobody takes half an answer for a whole one.
func (g *Gateway) recovered(v *visit, failure any) any {
	if failure == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
		return failure
	}
	g.o.Log.LogAttrs(v.ctx, slog.LevelError, "panic", slog.String("route", v.entry.Pattern), slog.String("request_id", v.call.RequestID),
		slog.Any("value", failure), slog.String("stack", string(debug.Stack())))
	if v.status != 0 {
		return http.ErrAbortHandler
	}
	rest.Refuse(v, v.r.WithContext(v.ctx), problem.New(problem.Internal, "panic", ""))
	return nil
}
