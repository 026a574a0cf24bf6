package telemetry

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/seed-21071466/souk/kit/clock"
)

// Sampler chooses, at a trace's first span in the shop, whether the whole trace is recorded:
//
//   - a stranger who sent a sampled trace header is recorded while the allowance for such wishes lasts, so that a person
//     can ask for a trace and nobody can have everything traced;
//   - a stranger who sent an unsampled one is not, because its own trace would have a hole there;
//   - a request that brought none, or left the choice to us, is recorded when its trace id falls into the share that is
//     sampled and the second's allowance lasts;
//   - a child follows its parent, in this process and in the others of the shop.
type Sampler struct {
	clock   clock.Clock
	share   sdktrace.Sampler
	allowed *rate.Limiter
	asked   *rate.Limiter
}

// Sampling says how much is recorded. Each rate allows bursts of as many as it allows a second, and none at all when it
// is not positive.
type Sampling struct {
	Share          float64 // of the traces that begin here, by trace id: 1 for all
	PerSecond      int     // traces a second of those
	AskedPerSecond int     // traces a second that strangers asked for
}

// NewSampler makes a sampler.
func NewSampler(s Sampling, c clock.Clock) *Sampler {
	limiter := func(perSecond int) *rate.Limiter {
		perSecond = max(perSecond, 0)
		return rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
	return &Sampler{
		clock: c, share: sdktrace.TraceIDRatioBased(s.Share), allowed: limiter(s.PerSecond), asked: limiter(s.AskedPerSecond),
	}
}

// wish is what a stranger's trace headers say of recording.
type wish uint8

const (
	decided   wish = iota + 1 // sampled or not
	undecided                 // left to us, as B3 allows
)

type wishKey struct{}

// FromOutside marks a context whose remote span a stranger named. The sampler grants its wish only as far as its
// allowance goes, and chooses freely when the stranger did not decide.
func FromOutside(ctx context.Context, hasDecided bool) context.Context {
	if hasDecided {
		return context.WithValue(ctx, wishKey{}, decided)
	}
	return context.WithValue(ctx, wishKey{}, undecided)
}

// wishOf is what the stranger wished whose span is the parent; 0 when the parent is of the shop itself.
func wishOf(ctx context.Context, parent trace.SpanContext) wish {
	if !parent.IsRemote() {
		return 0
	}
	w, _ := ctx.Value(wishKey{}).(wish)
	return w
}

// ShouldSample decides for one span that is about to start.
func (s *Sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	decision := sdktrace.Drop
	if s.record(p, parent) {
		decision = sdktrace.RecordAndSample
	}
	return sdktrace.SamplingResult{Decision: decision, Tracestate: parent.TraceState()}
}

func (s *Sampler) record(p sdktrace.SamplingParameters, parent trace.SpanContext) bool {
	wished := wishOf(p.ParentContext, parent)
	switch {
	case !parent.IsValid() || wished == undecided:
		return s.share.ShouldSample(p).Decision == sdktrace.RecordAndSample && s.allowed.AllowN(s.clock.Now(), 1)
	case wished == decided:
		return parent.IsSampled() && s.asked.AllowN(s.clock.Now(), 1)
	default:
		return parent.IsSampled()
	}
}

// Description names the sampler and its rates to whoever inspects the provider.
func (s *Sampler) Description() string {
	return fmt.Sprintf("Sampler{%s, %v/s, asked %v/s}", s.share.Description(), float64(s.allowed.Limit()), float64(s.asked.Limit()))
}
