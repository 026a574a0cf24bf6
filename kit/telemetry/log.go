package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// handler adds what the context knows to each record, then lets slog write it as JSON.
type handler struct {
	next      slog.Handler
	requestID func(context.Context) string
	room      func(context.Context) string
}

// newHandler names the process in each line when the shop has several; in one process it would say nothing new.
func newHandler(o Options) *handler {
	h := &handler{
		next:      slog.NewJSONHandler(o.Out, &slog.HandlerOptions{Level: o.Level}),
		requestID: o.RequestID,
		room:      o.Room,
	}
	if o.Process != "" {
		h.next = h.next.WithAttrs([]slog.Attr{slog.String("process", o.Process), slog.String("instance", o.Instance)})
	}
	return h
}

// Enabled tells slog whether a record of this level is wanted at all.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle writes the record with the ids that its context carries, unless it brought them itself.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	span := trace.SpanContextFromContext(ctx)
	if span.HasTraceID() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	if span.HasSpanID() {
		r.AddAttrs(slog.String("span_id", span.SpanID().String()))
	}
	add(&r, RequestIDKey, ask(h.requestID, ctx))
	add(&r, RoomKey, ask(h.room, ctx))
	return h.next.Handle(ctx, r)
}

// add gives a record an attribute that it lacks.
func add(r *slog.Record, key, value string) {
	if value == "" {
		return
	}
	brought := false
	r.Attrs(func(a slog.Attr) bool {
		brought = brought || a.Key == key
		return !brought
	})
	if !brought {
		r.AddAttrs(slog.String(key, value))
	}
}

// WithAttrs gives a handler that writes these attributes too. A logger that names its room is not told it again.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	told := *h
	told.next = h.next.WithAttrs(attrs)
	for _, a := range attrs {
		switch a.Key {
		case RoomKey:
			told.room = nil
		case RequestIDKey:
			told.requestID = nil
		}
	}
	return &told
}

// WithGroup gives a handler that writes the attributes to come under a name.
func (h *handler) WithGroup(name string) slog.Handler {
	grouped := *h
	grouped.next = h.next.WithGroup(name)
	return &grouped
}

func ask(who func(context.Context) string, ctx context.Context) string {
	if who == nil {
		return ""
	}
	return who(ctx)
}
