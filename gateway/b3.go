package gateway

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The headers by which a request says of what trace it is, as net/http spells
// them.
const (
	headerTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
	headerB3          = "B3"
	headerB3Trace     = "X-B3-Traceid"
	headerB3Sampled   = "X-B3-Sampled"
	headerB3Flags     = "X-B3-Flags"
)

// traceHeaders are all of them.
var traceHeaders = []string{
	headerTraceParent, headerTraceState, headerB3, headerB3Trace, "X-B3-Spanid", "X-B3-Parentspanid", headerB3Sampled, headerB3Flags,
}

// takeTrace removes the client's own, so that nobody behind the gateway
// believes them.
func takeTrace(h http.Header) {
	for _, name := range traceHeaders {
		delete(h, name)
	}
}

var b3Headers = b3.New()

// b3Context reads the headers of Zipkin, the single one before the several. A
// trace id of 64 bits is filled up with zeros. One that is malformed, or sent
// twice, is as good as none. B3 lets a client leave the choice to record to us.
func b3Context(h http.Header) (sc trace.SpanContext, decided, ok bool) {
	if h[headerB3] == nil && h[headerB3Trace] == nil { // most requests
		return sc, false, false
	}
	for _, name := range traceHeaders {
		if lines := h[name]; len(lines) > 1 || len(lines) == 1 && len(lines[0]) > traceParentMax {
			return sc, false, false
		}
	}
	sc = trace.SpanContextFromContext(b3Headers.Extract(context.Background(), propagation.HeaderCarrier(h)))
	return sc, b3Decided(h), sc.IsValid()
}

// b3Decided says whether the sampling state is there: after the second dash of
// the single header, or in a header of its own.
func b3Decided(h http.Header) bool {
	if single := h.Get(headerB3); strings.Count(single, "-") >= 2 {
		return true
	}
	return h.Get(headerB3Sampled) != "" || h.Get(headerB3Flags) == "1"
}
