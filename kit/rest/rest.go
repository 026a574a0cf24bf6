// Package rest serves a room's contract as REST and JSON: the rules that
// google.api.http states, over the rpc connection of the front door, so that
// one implementation and its interceptors serve both.
//
//	request ── raw handler? ── kept page still young? ── grpc-gateway ── rpc Edge ── room
//	                                                         │
//	answer  ◄─ 304 or kept page ◄─ same ETag? ◄─ status, headers, message
//	        ◄─ encoded anew    ◄─ otherwise
//
// A list is served as CSV, too, all its pages in one file (export.go).
//
// JSON has the contract's own names and every default value, the same bytes for
// the same message. Refusals are problem documents (RFC 9457). A room that
// calls SetPublic has its encoded answers kept and asks for no encoding as long
// as it says the same version.
package rest

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest/route"
)

// BodyMaxDefault bounds a request's body, in bytes. It is the backstop of a
// room that is asked directly; the gateway has its own, lower bound.
const BodyMaxDefault = 16 << 20

// Options of a Mux; the zero value works.
type Options struct {
	Log          *slog.Logger // default slog.Default()
	Clock        clock.Clock  // default clock.System{}
	BodyMax      int64        // bytes, default BodyMaxDefault
	CacheBytes   int          // of kept pages, default CacheBytesDefault; negative keeps none
	CacheEntries int          // kept pages, default CacheEntriesDefault
	ExportRows   int          // of a list as CSV, default ExportRowsDefault
}

// Mux serves the REST API of one room or of several.
type Mux struct {
	log     *slog.Logger
	clock   clock.Clock
	bodyMax int64
	grpc    *runtime.ServeMux
	raw     route.Table[http.Handler]
	pages   *pages
	encoder *encoder
	learnt  sync.Map // learntKey → runtime.HandlerFunc

	exports     exports
	exportRows  int
	exportSizes sync.Map // learntKey → index in exportSizes
	sheets      sync.Map // rpc method → *sheet
}

// New makes a Mux that serves nothing yet.
func New(o Options) *Mux {
	m := &Mux{log: o.Log, clock: o.Clock, bodyMax: o.BodyMax, pages: newPages(o.CacheBytes, o.CacheEntries), encoder: new(encoder)}
	if m.log == nil {
		m.log = slog.Default()
	}
	if m.clock == nil {
		m.clock = clock.System{}
	}
	if m.bodyMax <= 0 {
		m.bodyMax = BodyMaxDefault
	}
	if m.exportRows = o.ExportRows; m.exportRows <= 0 {
		m.exportRows = ExportRowsDefault
	}
	m.grpc = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, marshaler{m.encoder}),
		runtime.WithForwardResponseRewriter(m.answer),
		runtime.WithErrorHandler(m.refuse),
		runtime.WithRoutingErrorHandler(m.refuseRoute),
		runtime.WithMiddlewares(m.learning),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
		runtime.WithIncomingHeaderMatcher(noHeader),
		runtime.WithOutgoingHeaderMatcher(noHeader),
		runtime.WithOutgoingTrailerMatcher(noHeader),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	return m
}

// noHeader keeps the runtime from copying headers: what may pass is decided in
// exchange.metadata and exchange.readHeaders.
func noHeader(string) (string, bool) { return "", false }

// ServeMux is where the generated RegisterXHandlerClient functions register,
// with a client over an rpc Edge connection.
func (m *Mux) ServeMux() *runtime.ServeMux { return m.grpc }

// Handle serves a pattern, "POST /api/webhooks/{provider}", by a handler that
// reads and writes HTTP itself; its variables are path values of the request.
// It panics on a malformed or repeated pattern, as http.ServeMux does.
func (m *Mux) Handle(pattern string, h http.Handler) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = route.MethodAny, pattern
	}
	if err := m.raw.Add(method, path, h); err != nil {
		panic("rest: " + err.Error())
	}
}

// Raw are the patterns given to Handle, "POST /api/webhooks/{provider}": what a
// gateway must know beside the route table of the contracts.
func (m *Mux) Raw() []string { return m.raw.Methods() }

// ServeHTTP serves one request.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := escapedPath(r)
	if m.raw.Len() > 0 && m.serveRaw(w, r, path) {
		return
	}
	if strings.HasSuffix(path, "/") || strings.Contains(path, "//") {
		Refuse(w, r, errNoRoute())
		return
	}
	if p := badQuery(r.URL.RawQuery); p != nil {
		Refuse(w, r, p)
		return
	}
	x := newExchange(m, w, r, path)
	defer x.end()
	if x.serveCSV(path) || x.serveYoung() {
		return
	}
	ctx := context.WithValue(r.Context(), exchangeKey{}, x)
	lean := x.lean(metadata.NewOutgoingContext(ctx, x.metadata()))
	if !m.serveLearnt(x, lean, path) {
		m.grpc.ServeHTTP(x, lean)
	}
}

func (m *Mux) serveRaw(w http.ResponseWriter, r *http.Request, path string) bool {
	found, ok := m.raw.Find(r.Method, path)
	if !ok {
		return false
	}
	route.Values(found.Pattern, path, func(name, value string) { r.SetPathValue(name, unescaped(r, value)) })
	r.Body = http.MaxBytesReader(w, r.Body, m.bodyMax)
	found.Value.ServeHTTP(w, r)
	return true
}

func errNoRoute() *problem.Error {
	return problem.New(problem.NotFound, "route_not_found", "There is nothing at this address.")
}
