package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/internal/watermark"
)

// The bounds of exporting spans.
const (
	ExportQueueMax = 4096             // spans that wait; those that end while it is full are dropped and counted
	ExportBatchMax = 512              // spans in one call of the collector
	ExportDelay    = time.Second      // the longest that spans come together before they are sent
	ExportSendMax  = 10 * time.Second // of one call
	FlushMax       = 3 * time.Second  // of Close, for what still waits
	exportRetryMin = time.Second      // pause after a call that did not reach the collector; doubled for each further one
	exportRetryMax = 30 * time.Second
)

// RefusedError is a collector's answer that it will never take a batch.
type RefusedError struct{ Cause error }

// Error says what the collector said.
func (e *RefusedError) Error() string { return "the collector refused spans: " + e.Cause.Error() }

// Unwrap is what the collector said.
func (e *RefusedError) Unwrap() error { return e.Cause }

// batcher is a span processor that hands spans to an exporter, a batch at a time, in a goroutine of its own:
//
//	span ends ─▶ queue ─▶ batch ─▶ collector
//	            full: drop   ├─ refuses: drop
//	                         └─ not reached: keep the batch, pause, try again; the queue fills
//
// Whatever the collector does, whoever ends a span never waits.
type batcher struct {
	to    sdktrace.SpanExporter
	log   *slog.Logger
	clock clock.Clock

	queue chan sdktrace.ReadOnlySpan
	hurry chan struct{} // ForceFlush: do not wait for more
	quit  chan struct{} // closed by Shutdown
	done  chan struct{} // closed when the last batch is settled
	once  sync.Once

	ctx    context.Context // of every call; ends when Shutdown's time is over
	cancel context.CancelFunc

	taken   atomic.Int64   // spans that came into the queue
	settled watermark.Mark // of these, sent or dropped
	down    bool           // the last call failed; of the goroutine that sends
	lost    int            // spans dropped since then, by that goroutine

	sent    prometheus.Counter
	dropped *prometheus.CounterVec
}

// Why spans are dropped.
const (
	dropFull        = "full"        // the queue was
	dropRefused     = "refused"     // by the collector
	dropUnreachable = "unreachable" // when the process ended
)

func newBatcher(to sdktrace.SpanExporter, log *slog.Logger, c clock.Clock, r prometheus.Registerer) *batcher {
	b := &batcher{
		to: to, log: log, clock: c,
		queue: make(chan sdktrace.ReadOnlySpan, ExportQueueMax), hurry: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "souk_traces_exported_spans_total", Help: "Spans that the collector took.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_traces_export_dropped_total", Help: "Spans that did not come to the collector, by reason.",
		}, []string{"reason"}),
	}
	for _, why := range []string{dropFull, dropRefused, dropUnreachable} {
		b.dropped.WithLabelValues(why) // shown as 0 from the start, so that a rise is seen
	}
	r.MustRegister(b.sent, b.dropped, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "souk_traces_export_queue", Help: "Spans that wait to be sent to the collector.",
	}, func() float64 { return float64(len(b.queue)) }))
	b.ctx, b.cancel = context.WithCancel(context.Background())
	go b.run()
	return b
}

// OnStart does nothing: a span is sent when it has ended.
func (b *batcher) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd puts a span into the queue, or drops it when there is no room.
func (b *batcher) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case b.queue <- s:
		b.taken.Add(1)
	default:
		b.dropped.WithLabelValues(dropFull).Inc()
	}
}

// run sends batches until Shutdown, then what is left.
func (b *batcher) run() {
	defer close(b.done)
	for more := true; more; {
		var batch []sdktrace.ReadOnlySpan
		batch, more = b.gather()
		if len(batch) > 0 {
			b.deliver(batch)
			b.settled.Set(b.settled.Position() + int64(len(batch)))
		}
	}
}

// gather waits for a span and then for those that come soon after it. After Shutdown it takes what there is; more is
// false when that was all.
func (b *batcher) gather() (batch []sdktrace.ReadOnlySpan, more bool) {
	select {
	case s := <-b.queue:
		batch = append(batch, s)
	case <-b.quit:
	}
	timer := b.clock.NewTimer(ExportDelay)
	defer timer.Stop()
	for len(batch) < ExportBatchMax {
		select {
		case s := <-b.queue:
			batch = append(batch, s)
			continue
		default:
		}
		select {
		case s := <-b.queue:
			batch = append(batch, s)
		case <-timer.C():
			return batch, true
		case <-b.hurry:
			return batch, true
		case <-b.quit:
			return batch, len(b.queue) > 0
		}
	}
	return batch, true
}

// deliver sends a batch until it is taken, refused, or the process ends.
func (b *batcher) deliver(batch []sdktrace.ReadOnlySpan) {
	for pause := exportRetryMin; ; pause = min(2*pause, exportRetryMax) {
		closing := b.closing()
		err := b.send(batch)
		var refused *RefusedError
		switch {
		case err == nil:
			b.arrived(len(batch))
			return
		case errors.As(err, &refused):
			b.drop(dropRefused, len(batch), err)
			return
		case closing:
			b.drop(dropUnreachable, len(batch), err)
			return
		}
		b.complain(err)
		b.rest(pause)
	}
}

func (b *batcher) send(batch []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithTimeout(b.ctx, ExportSendMax)
	defer cancel()
	return b.to.ExportSpans(ctx, batch)
}

// rest ends early when the process does: there is time for one more try.
func (b *batcher) rest(pause time.Duration) {
	timer := b.clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-b.quit:
	}
}

func (b *batcher) closing() bool {
	select {
	case <-b.quit:
		return true
	default:
		return false
	}
}

// arrived counts, and tells the end of a trouble that was told.
func (b *batcher) arrived(spans int) {
	b.sent.Add(float64(spans))
	if b.down {
		b.log.Info("the collector takes traces again", "dropped_spans", b.lost)
		b.down, b.lost = false, 0
	}
}

func (b *batcher) drop(why string, spans int, err error) {
	b.dropped.WithLabelValues(why).Add(float64(spans))
	b.lost += spans
	b.complain(err)
}

// complain tells of a trouble once, until it is over: the figures tell the rest.
func (b *batcher) complain(err error) {
	if !b.down {
		b.down = true
		b.log.Warn("the collector does not take traces; what waits is kept up to a bound, and nothing else is affected",
			"err", err, "queue_max", ExportQueueMax)
	}
}

// ForceFlush returns when the spans that have ended by now are sent or dropped.
func (b *batcher) ForceFlush(ctx context.Context) error {
	select {
	case b.hurry <- struct{}{}:
	default: // somebody is in a hurry already
	}
	return b.settled.Wait(ctx, b.taken.Load())
}

// Shutdown sends what waits until ctx ends; the rest is dropped and counted.
func (b *batcher) Shutdown(ctx context.Context) error {
	b.once.Do(func() { close(b.quit) })
	select {
	case <-b.done:
	case <-ctx.Done():
		b.cancel()
		<-b.done
	}
	b.cancel()
	return b.to.Shutdown(context.WithoutCancel(ctx)) // it only frees what it holds
}
