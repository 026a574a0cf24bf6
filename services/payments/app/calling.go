package app

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// answerMargin is what is left of a caller's time for storing the outcome.
const answerMargin = 250 * time.Millisecond

// calling is the context of one call of the provider. It outlives a caller who
// leaves, ends in time to answer one who waits, and is a span of a trace that
// is recorded. done ends it.
func (p *Payments) calling(ctx context.Context, call string) (asking context.Context, done func()) {
	limit := p.o.ConfirmTimeout
	if deadline, set := ctx.Deadline(); set {
		limit = min(limit, time.Until(deadline)-answerMargin)
	}
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(limit, answerMargin))
	around := trace.SpanFromContext(ctx)
	if !around.IsRecording() {
		return asking, cancel
	}
	asking, span := around.TracerProvider().Tracer("souk").Start(asking, p.Provider.Name()+" "+call)
	return asking, func() {
		span.End()
		cancel()
	}
}
