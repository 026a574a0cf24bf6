package bus

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// traced adds to the trace of each event that was handled what its handling took: a child of the span that appended the
// event, which may be in another process. Events of a batch share one transaction, so their spans begin and end together.
// An event whose trace is not recorded costs nothing.
func (f *follower) traced(tasks []task, began time.Time, err error) {
	if f.options.TracerProvider == nil {
		return
	}
	for _, t := range tasks {
		if t.act == handle && t.event.Meta.Traced() {
			f.span(t.event, began, err)
		}
	}
}

func (f *follower) span(event *Event, began time.Time, err error) {
	_, span := f.options.TracerProvider.Tracer("souk").Start(event.Meta.Within(context.Background()), spanName(event.Type, f.Name),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(began),
		trace.WithAttributes(attribute.String("event", event.ID), attribute.String("consumer", f.Name)))
	if err != nil {
		span.SetStatus(codes.Error, "failed, to be tried again")
	}
	span.End(trace.WithTimestamp(f.options.Clock.Now()))
}

// spanName is "OrderConfirmed → inventory.orders".
func spanName(typ, consumer string) string {
	return typ[strings.LastIndexByte(typ, '.')+1:] + " → " + consumer
}
