// Package telemetry lets an operator see what a shop is doing: JSON logs that carry the trace and the request they belong
// to, Prometheus metrics, and OpenTelemetry traces of which the last few thousand are kept in memory, so that the tree of
// any recent request can be drawn without another service.
//
//	request ── span ends ──▶ Store (ring) ──▶ souk trace ID, GET /api/traces/{id}
//	                    └──▶ queue ──▶ a collector, by OTLP, when there is one
//	        ── log record ─▶ Out, one JSON object a line, with trace_id, span_id, request_id and room
//	        ── metric ─────▶ Registry ──▶ GET /metrics
//
// A shop of several processes has a Store in each. Whoever is asked for a trace asks the others (Meet) for their parts and
// draws one tree: see Whole and Merge.
//
// A span costs something only when its trace was chosen at the front door: see Sampler.
package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-21071466/souk/kit/clock"
)

// What spans and log lines call the request that they serve and the room that serves it. The Store finds traces by the
// first, and draws a call under the name of the second.
const (
	RequestIDKey = "request_id"
	RoomKey      = "room"
)

// What is recorded when nobody says otherwise.
const (
	TracesPerSecondDefault = 50 // of those that begin here
	AskedPerSecondDefault  = 10 // of those that strangers asked for by a sampled trace header
)

// Options of New. The zero value logs at level info to standard output, keeps the default number of traces and shows
// them to nobody.
type Options struct {
	Service  string       // what traces call the shop; "souk" when empty
	Process  string       // what this process is in its shop, such as the rooms that it opened; "" when it is all of it
	Instance string       // which one it is of those that are alike; host name and process id when empty
	Out      io.Writer    // where log lines go; standard output when nil
	Level    slog.Leveler // the lowest level that is logged; info when nil
	Clock    clock.Clock  // tells the sampler the time; the system's when nil

	// RequestID and Room say which request and which room a context belongs to; "" when none. They run for each log
	// record, so they should only look something up.
	RequestID func(context.Context) string
	Room      func(context.Context) string

	Sampling   Sampling // what is recorded; a figure of 0 is its default (everything, as far as the rates allow), a negative one is none
	Traces     int      // traces kept; TracesMax when 0
	TraceBytes int      // memory that they may take; TraceBytesMax when 0

	// MaySee decides who may read a trace by HTTP. Nobody may when it is nil.
	MaySee func(*http.Request) bool
	// Exporter receives every recorded span too, in batches; see OTLP. Nil: none.
	Exporter sdktrace.SpanExporter
	// Processors receive every recorded span too, each as it ends.
	Processors []sdktrace.SpanProcessor
}

// Telemetry is what a process is observed by. It sets no global: who needs a part of it is given that part.
type Telemetry struct {
	Log            *slog.Logger
	Registry       *prometheus.Registry
	TracerProvider *sdktrace.TracerProvider
	Traces         *Store

	process, instance string
	clock             clock.Clock
	maySee            func(*http.Request) bool
	neighbours        func() []Neighbour
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
	registry.MustRegister(buildInfo(o))
	log := slog.New(newHandler(o))
	if o.Exporter != nil {
		o.Processors = append(slices.Clone(o.Processors), newBatcher(o.Exporter, log, o.Clock, registry))
	}
	return &Telemetry{
		Log:            log,
		Registry:       registry,
		TracerProvider: newProvider(o, store),
		Traces:         store,
		process:        o.Process,
		instance:       o.Instance,
		clock:          o.Clock,
		maySee:         o.MaySee,
		neighbours:     func() []Neighbour { return nil },
	}
}

func (o Options) withDefaults() Options {
	o.Service = cmp.Or(o.Service, "souk")
	o.Instance = cmp.Or(o.Instance, thisProcess())
	if o.Out == nil {
		o.Out = os.Stdout
	}
	if o.Level == nil {
		o.Level = slog.LevelInfo
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	o.Sampling.Share = cmp.Or(o.Sampling.Share, 1)
	o.Sampling.PerSecond = cmp.Or(o.Sampling.PerSecond, TracesPerSecondDefault)
	o.Sampling.AskedPerSecond = cmp.Or(o.Sampling.AskedPerSecond, AskedPerSecondDefault)
	if o.MaySee == nil {
		o.MaySee = func(*http.Request) bool { return false }
	}
	return o
}

func newProvider(o Options, store *Store) *sdktrace.TracerProvider {
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(NewSampler(o.Sampling, o.Clock)),
		sdktrace.WithResource(identity(o)),
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

// Close ends the tracer. What has not been exported yet is sent until ctx ends, FlushMax at most.
func (t *Telemetry) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, FlushMax)
	defer cancel()
	if err := t.TracerProvider.Shutdown(ctx); err != nil {
		return fmt.Errorf("close telemetry: %w", err)
	}
	return nil
}
