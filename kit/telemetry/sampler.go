package telemetry

import (
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/seed-21071466/souk/kit/clock"
)

// Sampler chooses, at a trace's first span, whether the whole trace is recorded:
//
//   - a caller that sent a sampled traceparent is always recorded, so that a person can ask for a trace;
//   - a caller that sent an unsampled one is not, because its own trace would have a hole there;
//   - a request that brought none is recorded while the second's allowance lasts;
//   - a child follows its parent.
type Sampler struct {
	clock   clock.Clock
	allowed *rate.Limiter
}

// NewSampler allows perSecond new traces a second, in bursts of as many; none when it is not positive.
func NewSampler(perSecond int, c clock.Clock) *Sampler {
	perSecond = max(perSecond, 0)
	return &Sampler{clock: c, allowed: rate.NewLimiter(rate.Limit(perSecond), perSecond)}
}

// ShouldSample decides for one span that is about to start.
func (s *Sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	record := parent.IsSampled()
	if !parent.IsValid() {
		record = s.allowed.AllowN(s.clock.Now(), 1)
	}
	decision := sdktrace.Drop
	if record {
		decision = sdktrace.RecordAndSample
	}
	return sdktrace.SamplingResult{Decision: decision, Tracestate: parent.TraceState()}
}

// Description names the sampler and its rate to whoever inspects the provider.
func (s *Sampler) Description() string {
	return fmt.Sprintf("Sampler{%v/s}", float64(s.allowed.Limit()))
}
