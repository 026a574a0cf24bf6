package gateway

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/telemetry"
)

const (
	traceParentLen = 55  // of version 00: "00-<32>-<16>-<2>"
	traceParentMax = 256 // of a version to come
	traceStateMax  = 512 // characters, the least that W3C wants passed on
)

// startTrace takes up the client's trace or begins one, and opens the span
// "gateway" when there is a tracer. The client is a stranger: whether its trace
// is recorded is the tracer's choice. What goes on to the rooms is W3C alone.
func (g *Gateway) startTrace(ctx context.Context, v *visit) context.Context {
	sc, decided, ok := clientSpan(v.r.Header)
	takeTrace(v.r.Header)
	if ok {
		v.call.TraceState = sc.TraceState().String()
	}
	if g.tracer == nil || v.entry.internal && !ok { // probes and scrapes come all day
		if !ok {
			sc = freshContext()
		}
		v.call.TraceParent = formatTraceParent(sc)
		return ctx
	}
	if ok {
		ctx = telemetry.FromOutside(trace.ContextWithRemoteSpanContext(ctx, sc), decided)
	}
	ctx, v.span = g.tracer.Start(ctx, "gateway", trace.WithSpanKind(trace.SpanKindServer))
	v.call.TraceParent = formatTraceParent(v.span.SpanContext())
	return ctx
}

// clientSpan reads the client's trace headers: W3C, else B3; decided says
// whether the client chose that its trace is recorded, or not.
func clientSpan(h http.Header) (sc trace.SpanContext, decided, ok bool) {
	if sc, ok = spanContext(h); ok {
		return sc, true, true
	}
	return b3Context(h)
}

// endTrace says on the span what became of the request.
func (g *Gateway) endTrace(v *visit) {
	if v.span == nil {
		return
	}
	if v.span.IsRecording() {
		v.span.SetAttributes(attribute.String("http.route", v.entry.Pattern), attribute.String("http.request.method", methodLabel(v.r.Method)),
			attribute.Int("http.response.status_code", v.status), attribute.String("room", v.entry.Room), attribute.String("request_id", v.call.RequestID))
		if v.status >= http.StatusInternalServerError {
			v.span.SetStatus(codes.Error, "")
		}
	}
	v.span.End()
}

// spanContext reads the headers of W3C Trace Context. A malformed traceparent,
// or two of them, is as good as none; so is a tracestate, which is then dropped
// without the traceparent.
func spanContext(h http.Header) (trace.SpanContext, bool) {
	lines := h["Traceparent"]
	if len(lines) != 1 {
		return trace.SpanContext{}, false
	}
	c, ok := parseTraceParent(lines[0])
	if !ok {
		return trace.SpanContext{}, false
	}
	if state := strings.Join(h["Tracestate"], ","); state != "" && len(state) <= traceStateMax {
		if parsed, err := trace.ParseTraceState(state); err == nil {
			c.TraceState = parsed
		}
	}
	return trace.NewSpanContext(c), true
}

// parseTraceParent reads "00-<trace>-<span>-<flags>" in lower case hexadecimal;
// of a later version what it shares with 00.
func parseTraceParent(s string) (c trace.SpanContextConfig, ok bool) {
	if len(s) < traceParentLen || len(s) > traceParentMax || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return c, false
	}
	version, okVersion := hexByte(s[:2])
	if !okVersion || version == 0xff || version == 0 && len(s) != traceParentLen || len(s) > traceParentLen && s[traceParentLen] != '-' {
		return c, false
	}
	var errTrace, errSpan error
	c.TraceID, errTrace = trace.TraceIDFromHex(s[3:35])
	c.SpanID, errSpan = trace.SpanIDFromHex(s[36:52])
	flags, okFlags := hexByte(s[53:55])
	c.TraceFlags = trace.TraceFlags(flags) & trace.FlagsSampled
	c.Remote = true
	return c, okFlags && errTrace == nil && errSpan == nil
}

func hexByte(s string) (byte, bool) {
	var b [1]byte
	_, err := hex.Decode(b[:], []byte(s))
	return b[0], err == nil && s == strings.ToLower(s)
}

// freshContext is a trace of our own that nobody records.
func freshContext() trace.SpanContext {
	var c trace.SpanContextConfig
	binary.NativeEndian.PutUint64(c.TraceID[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(c.TraceID[8:], rand.Uint64()|1) // never all zero
	binary.NativeEndian.PutUint64(c.SpanID[:], rand.Uint64()|1)
	return trace.NewSpanContext(c)
}

func formatTraceParent(sc trace.SpanContext) string {
	if !sc.IsValid() {
		sc = freshContext()
	}
	var b [traceParentLen]byte
	tid, sid := sc.TraceID(), sc.SpanID()
	copy(b[:], "00-")
	hex.Encode(b[3:35], tid[:])
	b[35] = '-'
	hex.Encode(b[36:52], sid[:])
	copy(b[52:], "-00")
	if sc.IsSampled() {
		b[54] = '1'
	}
	return string(b[:])
}
