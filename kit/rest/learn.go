package rest

import (
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/seed-21071466/souk/kit/rest/route"
)

// The runtime tries its patterns one after the other, which for a house of
// fifty routes costs more than the call itself. The gateway has found the
// pattern already; so which handler the runtime chose for it is learnt from the
// first request, and later ones go straight there.

type learntKey struct{ method, pattern string }

// probeKey marks a request that only asks whether a pattern takes it.
type probeKey struct{}

// learning is the runtime's middleware: it stands before every handler.
func (m *Mux) learning(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		ctx := r.Context()
		if ctx.Value(probeKey{}) != nil {
			return // a probe goes no further than the pattern
		}
		if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
			x.params = params
			m.learn(x, r, next)
		}
		next(w, r, params)
	}
}

// learn remembers the handler of a route that the gateway has found.
func (m *Mux) learn(x *exchange, r *http.Request, next runtime.HandlerFunc) {
	if x.call.Route == "" {
		return
	}
	pattern, known := runtime.HTTPPattern(r.Context())
	if known && strings.ReplaceAll(pattern.String(), "=*}", "}") == x.call.Route {
		m.learnt.Store(learntKey{r.Method, x.call.Route}, next)
	}
}

// serveLearnt serves a request whose handler is known.
func (m *Mux) serveLearnt(x *exchange, r *http.Request, path string) bool {
	if x.call.Route == "" {
		return false
	}
	next, ok := m.learnt.Load(learntKey{r.Method, x.call.Route})
	if !ok {
		return false
	}
	params := make(map[string]string, 2)
	route.Values(x.call.Route, path, func(name, value string) { params[name] = unescaped(x.r, value) })
	x.params = params
	next.(runtime.HandlerFunc)(x, r, params)
	return true
}
