package rpc

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// startSpan hands the trace on and, when it is sampled, opens a span for the
// served call; otherwise the span is nil and nothing is paid for.
func (s *Server) startSpan(caller, ctx context.Context, m *method, c *call) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(caller)
	remote := parent.SpanContext()
	if !remote.IsValid() && c.traceParent != "" {
		remote = c.remoteSpan()
	}
	if !remote.IsValid() {
		return ctx, nil
	}
	ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
	provider := s.recorder(parent, remote)
	if provider == nil {
		return ctx, nil
	}
	return provider.Tracer("souk").Start(ctx, m.name[1:],
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("room", m.room.name), attribute.String("request_id", c.requestID)))
}

// recorder is where the span of a call is recorded, nil when it is not: beside its parent's, or, when that one was recorded
// elsewhere (by a room in another process, the front door that passed a request on, whoever began a run that is driven
// here now), in this process's own.
func (s *Server) recorder(parent trace.Span, remote trace.SpanContext) trace.TracerProvider {
	if parent.IsRecording() {
		return parent.TracerProvider()
	}
	if remote.IsSampled() {
		return s.network.Tracer
	}
	return nil
}

// remoteSpan reads the W3C headers that came with the request.
func (c *call) remoteSpan() trace.SpanContext {
	headers := propagation.MapCarrier{KeyTraceParent: c.traceParent, KeyTraceState: c.traceState}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), headers))
}

func endSpan(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		p := describe(err)
		span.SetAttributes(attribute.String("code", p.Code))
		if p.Kind.HTTP() >= 500 {
			span.SetStatus(otelcodes.Error, p.Code)
		}
	}
	span.End()
}
