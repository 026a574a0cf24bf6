package eventlog_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/eventlog"
)

func TestAnEventCarriesItsTraceToWhoeverHearsOfIt(t *testing.T) {
	span := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}
	for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled} {
		span.TraceFlags = flags
		meta := eventlog.Meta{Trace: eventlog.TraceOf(trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(span)))}
		got := trace.SpanContextFromContext(meta.Within(context.Background()))
		sampled := flags.IsSampled()
		if meta.Traced() != sampled || got.TraceID() != span.TraceID || got.IsSampled() != sampled || got.IsValid() != sampled || sampled && got.SpanID() != span.SpanID {
			t.Errorf("%q of a span that is sampled %v is traced %v, heard as %v", meta.Trace, sampled, meta.Traced(), got)
		}
	}
	span.TraceID = trace.TraceID{9}
	own := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(span))
	if got := trace.SpanContextFromContext(eventlog.Meta{Trace: "00-01000000000000000000000000000000-0200000000000000-01"}.Within(own)); got.TraceID() != span.TraceID {
		t.Errorf("work of another trace was moved to %v", got)
	}
	for _, none := range []string{"", "x", "00-00000000000000000000000000000000-0000000000000000-01"} {
		got := trace.SpanContextFromContext(eventlog.Meta{Trace: none}.Within(context.Background()))
		if got.HasTraceID() {
			t.Errorf("trace %q is heard as %v", none, got)
		}
	}
	if said := eventlog.TraceOf(context.Background()); said != "" {
		t.Errorf("without a trace an event says %q", said)
	}
}
