// Package gateway is the front door: the one place where the world's HTTP
// comes in. It knows routes and rooms by name and no word of what they do.
//
//	request ─ id, trace ─ route ─ authenticate ─ limit ─ body, key ─► room's handler
//	answer  ◄─ headers ◄─ metrics, log ◄──────────────────────────────┘
//
// What it finds out (principal, request id, trace, idempotency key and digest)
// travels to the room as a rest.Call; headers by which a client could pretend
// to be the gateway are taken away. Every refusal is a problem document.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rest/docs"
	"github.com/seed-21071466/souk/kit/rest/route"
)

// The bounds that hold where Options say nothing.
const (
	TimeMaxDefault  = 15 * time.Second // of a request, from its header to its answer; one that bounds itself may go on (rest.Call.Patient)
	TimeMaxLimit    = 25 * time.Second // no route may have more: Server ends the connection at ReadTimeout
	BodyMaxDefault  = 1 << 20          // bytes
	BodyTimeDefault = 10 * time.Second // for the body to arrive
	InFlightDefault = 4096             // requests being served at once; more are told to come back
	SlowDefault     = time.Second      // requests that took longer are logged
	inFlightRetry   = time.Second      // what those too many are told to wait
)

// Route says which room serves a method and a path.
type Route struct {
	Method  string // route.MethodAny for all
	Pattern string // as kit/rest/route reads it, "/api/books/{id}"
	Room    string
	BodyMax int64         // bytes, for a route that needs more or less than Options.BodyMax
	TimeMax time.Duration // for a route that needs more or less than Options.TimeMax
	OwnAuth bool          // the room reads the credentials itself, as for a webhook's signature
}

// Authenticator tells who holds a token; false for a token that nobody holds.
type Authenticator interface {
	Authenticate(token string) (auth.Principal, bool)
}

// Options of a Gateway. Routes and Rooms are needed to serve anything; the
// rest has defaults that work.
type Options struct {
	Routes []Route
	Rooms  map[string]http.Handler // by the name that routes use
	Auth   Authenticator           // nil: every token is wrong

	Limits         Limits
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	TimeMax        time.Duration  // default TimeMaxDefault
	BodyMax        int64          // default BodyMaxDefault
	BodyTime       time.Duration  // default BodyTimeDefault
	InFlight       int            // default InFlightDefault
	Slow           time.Duration  // default SlowDefault

	Title   string                      // of the documentation
	OpenAPI []byte                      // served at /openapi.json and, to read, at /docs; nil: neither
	Ready   func(context.Context) error // for /readyz; nil: ready
	Metrics http.Handler                // for /metrics; nil: none

	Log            *slog.Logger          // default slog.Default()
	Clock          clock.Clock           // default clock.System{}
	IDs            id.Source             // default id.NewSource(Clock)
	Registerer     prometheus.Registerer // nil: metrics are kept and not shown
	TracerProvider trace.TracerProvider  // nil: the trace is only passed on
}

// Gateway is the front door's http.Handler.
type Gateway struct {
	o        Options
	routes   route.Table[*entry]
	lost     *entry // requests that no route takes
	limits   *limiter
	tracer   trace.Tracer
	inFlight atomic.Int64
}

// entry is a route with all that a request needs looked up.
type entry struct {
	Route
	handler  http.Handler
	internal bool // of the gateway itself: neither credentials nor limits
	observed *observed
}

// New makes the front door. A route whose room is missing, or that is there
// twice, is an error.
func New(o Options) (*Gateway, error) {
	o.fill()
	g := &Gateway{o: o, limits: newLimiter(o.Limits)}
	if o.TracerProvider != nil {
		g.tracer = o.TracerProvider.Tracer("souk")
	}
	seen := newMetrics(o.Registerer, func() float64 { return float64(g.inFlight.Load()) })
	g.lost = &entry{Route: Route{Pattern: "unmatched", TimeMax: o.TimeMax}, observed: seen.of("", "unmatched")}
	for _, r := range o.Routes {
		if err := g.add(r, seen); err != nil {
			return nil, fmt.Errorf("make gateway: %w", err)
		}
	}
	for pattern, h := range g.own() {
		e := &entry{Route: Route{Method: http.MethodGet, Pattern: pattern, TimeMax: o.TimeMax}, handler: h, internal: true, observed: seen.of(http.MethodGet, pattern)}
		if err := g.routes.Add(e.Method, e.Pattern, e); err != nil {
			return nil, fmt.Errorf("make gateway: %w", err)
		}
	}
	return g, nil
}

func (g *Gateway) add(r Route, seen *metrics) error {
	h := g.o.Rooms[r.Room]
	if h == nil {
		return fmt.Errorf("route %s %s: there is no room %q", r.Method, r.Pattern, r.Room)
	}
	if r.TimeMax > TimeMaxLimit {
		return fmt.Errorf("route %s %s: its time of %s is over %s", r.Method, r.Pattern, r.TimeMax, TimeMaxLimit)
	}
	if r.BodyMax <= 0 {
		r.BodyMax = g.o.BodyMax
	}
	if r.TimeMax <= 0 {
		r.TimeMax = g.o.TimeMax
	}
	return g.routes.Add(r.Method, r.Pattern, &entry{Route: r, handler: h, observed: seen.of(r.Method, r.Pattern)})
}

func (o *Options) fill() {
	fill(&o.TimeMax, TimeMaxDefault)
	o.TimeMax = min(o.TimeMax, TimeMaxLimit)
	fill(&o.BodyMax, BodyMaxDefault)
	fill(&o.BodyTime, BodyTimeDefault)
	fill(&o.InFlight, InFlightDefault)
	fill(&o.Slow, SlowDefault)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.IDs == nil {
		o.IDs = id.NewSource(o.Clock)
	}
}

func fill[N ~int | ~int64](n *N, standard N) {
	if *n <= 0 {
		*n = standard
	}
}

// own are the addresses that the gateway serves itself.
func (g *Gateway) own() map[string]http.Handler {
	own := map[string]http.Handler{
		"/healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { plain(w, "ok\n") }),
		"/readyz":  http.HandlerFunc(g.serveReady),
	}
	if g.o.Metrics != nil {
		own["/metrics"] = g.o.Metrics
	}
	if g.o.OpenAPI != nil {
		h := docs.Handler(g.o.Title, g.o.OpenAPI)
		own[docs.PathOpenAPI], own[docs.PathPage], own[docs.PathScript] = h, h, h
	}
	return own
}

func (g *Gateway) serveReady(w http.ResponseWriter, r *http.Request) {
	if g.o.Ready != nil {
		if err := g.o.Ready(r.Context()); err != nil {
			g.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "not ready", slog.String("cause", err.Error()))
			rest.Refuse(w, r, problem.New(problem.Unavailable, "not_ready", "Not ready yet.").After(time.Second))
			return
		}
	}
	plain(w, "ready\n")
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text)) // a client that has gone is nobody's problem
}

// ServeHTTP serves one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := g.newVisit(w, r)
	defer g.leave(v)
	ctx, cancel := context.WithTimeout(v.ctx, v.entry.TimeMax)
	defer cancel()
	v.r = r.WithContext(ctx)
	if refusal := g.admit(v); refusal != nil {
		rest.Refuse(v, v.r, refusal)
		return
	}
	if v.entry == g.lost {
		g.refuseRoute(v)
		return
	}
	v.entry.handler.ServeHTTP(v, v.r)
}

func (g *Gateway) refuseRoute(v *visit) {
	if allow := g.routes.Allow(v.path); allow != "" {
		rest.MethodNotAllowed(v, v.r, allow)
		return
	}
	rest.Refuse(v, v.r, problem.New(problem.NotFound, "route_not_found", "There is nothing at this address."))
}

// admit finds out all that a room must know, or why the request may not go on.
func (g *Gateway) admit(v *visit) *problem.Error {
	if v.entry.internal {
		return nil
	}
	if g.inFlight.Load() > int64(g.o.InFlight) {
		return problem.New(problem.Unavailable, "overloaded", "Too many requests are being served; try again in a moment.").After(inFlightRetry)
	}
	takeForgeries(v.r.Header)
	wrong := g.authenticate(v)
	if p := g.limit(v); p != nil {
		return p
	}
	if wrong != nil || v.entry == g.lost {
		return wrong
	}
	if p := g.readBody(v); p != nil {
		return p
	}
	return nameCommand(v)
}
