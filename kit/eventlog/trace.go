package eventlog

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The header of W3C Trace Context, and the length of its version 00.
const (
	traceParent    = "traceparent"
	traceParentLen = 55
)

// TraceOf is what Meta.Trace says of the work in a context: the W3C traceparent of the span when its trace is recorded, so
// that whoever hears of the event, in whatever process, can join it; else the trace's id alone; "" when there is none.
func TraceOf(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	switch {
	case span.IsValid() && span.IsSampled():
		carrier := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, carrier)
		return carrier[traceParent]
	case span.HasTraceID():
		return span.TraceID().String()
	default:
		return ""
	}
}

// Within is a context in which work belongs to the trace of the event: its log lines name the trace, and when that is
// recorded (Traced) its spans are children of the span that appended the event. Work that belongs to a trace already is
// left there.
func (m Meta) Within(ctx context.Context) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	if m.Traced() {
		return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceParent: m.Trace})
	}
	id, err := trace.TraceIDFromHex(m.Trace)
	if err != nil {
		return ctx // no trace, or one that an import brought along
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, Remote: true}))
}

// Traced says whether the event was appended in a trace that is recorded.
func (m Meta) Traced() bool {
	return len(m.Trace) == traceParentLen && m.Trace[traceParentLen-1]&1 == 1
}
