// Package telemetry lets an operator see what a shop is doing: JSON logs that carry the trace and the request they belong
// to, Prometheus metrics, and OpenTelemetry traces of which the last few thousand are kept in memory, so that the tree of
// any recent request can be drawn without another service.
//
//	request ── span ends ──▶ Store (ring) ──▶ souk trace ID, GET /api/traces/{id}
//	        ── log record ─▶ Out, one JSON object a line, with trace_id, span_id, request_id and room
//	        ── metric ─────▶ Registry ──▶ GET /metrics
//
// A span costs something only when its trace was chosen at the front door: see Options.TracesPerSecond.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-21071466/souk/kit/clock"
)

// What spans and log lines call the request that they serve and the room that serves it. The Store finds traces by the
// first, and draws a call under the name of the second.
const (
	RequestIDKey = "request_id"
	RoomKey      = "room"
)

// TracesPerSecondDefault is how many new traces a second are recorded when nobody asked for them by traceparent.
const TracesPerSecondDefault = 50

// Options of New. The zero value logs at level info to standard output, keeps the default number of traces and shows
// them to nobody.
type Options struct {
	Service string       // what the traces call this process; "souk" when empty
	Out     io.Writer    // where log lines go; standard output when nil
	Level   slog.Leveler // the lowest level that is logged; info when nil
	Clock   clock.Clock  // tells the sampler the time; the system's when nil

	// RequestID and Room say which request and which room a context belongs to; "" when none. They run for each log
	// record, so they should only look something up.
	RequestID func(context.Context) string
	Room      func(context.Context) string

	TracesPerSecond int // new traces recorded a second; TracesPerSecondDefault when 0, none when negative
	Traces          int // traces kept; TracesMax when 0
	TraceBytes      int // memory that they may take; TraceBytesMax when 0

	// MaySee decides who may read a trace by HTTP. Nobody may when it is nil.
	MaySee func(*http.Request) bool
	// Processors receive every recorded span too, for example a batcher that exports OTLP.
	Processors []sdktrace.SpanProcessor
}

// Telemetry is what a process is observed by. It sets no global: who needs a part of it is given that part.
type Telemetry struct {
	Log            *slog.Logger
	Registry       *prometheus.Registry
	TracerProvider *sdktrace.TracerProvider
	Traces         *Store

	maySee func(*http.Request) bool
}

// New makes the logger, the registry, the tracer and the store of a process. Close it at the end.
func New(o Options) *Telemetry {
	o = o.withDefaults()
	store := NewStore(o.Traces, o.TraceBytes)
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	store.register(registry)
	return &Telemetry{
		Log:            slog.New(newHandler(o)),
		Registry:       registry,
		TracerProvider: newProvider(o, store),
		Traces:         store,
		maySee:         o.MaySee,
	}
}

func (o Options) withDefaults() Options {
	if o.Service == "" {
		o.Service = "souk"
	}
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.TracesPerSecond == 0 {
		o.TracesPerSecond = TracesPerSecondDefault
	}
	if o.MaySee == nil {
		o.MaySee = func(*http.Request) bool { return false }
	}
	return o
}

func newProvider(o Options, store *Store) *sdktrace.TracerProvider {
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(NewSampler(o.TracesPerSecond, o.Clock)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", o.Service))),
		sdktrace.WithSpanProcessor(store),
	}
	for _, p := range o.Processors {
		options = append(options, sdktrace.WithSpanProcessor(p))
	}
	return sdktrace.NewTracerProvider(options...)
}

// Metrics serves the registry in the Prometheus text format.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{Registry: t.Registry})
}

// Close ends the tracer; processors that export are flushed until ctx ends.
func (t *Telemetry) Close(ctx context.Context) error {
	if err := t.TracerProvider.Shutdown(ctx); err != nil {
		return fmt.Errorf("close telemetry: %w", err)
	}
	return nil
}
