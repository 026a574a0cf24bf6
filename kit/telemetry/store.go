package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The bounds of a Store.
const (
	TracesMax     = 2000     // traces kept when nobody says otherwise; the oldest goes first
	TraceBytesMax = 16 << 20 // memory that they may take, as estimated
	SpansMax      = 512      // spans kept of one trace; those that end later are only counted
	AttributesMax = 16       // attributes kept of one span
	TextMax       = 256      // bytes kept of a name, an attribute's value or an error
)

// What an entry costs beside its strings: headers of strings and slices, map buckets. An estimate, on the high side.
const (
	traceCost     = 320
	spanCost      = 192
	attributeCost = 48
)

// Store keeps the spans of the last traces in memory. It is a span processor that works in the caller's goroutine: a
// span that ends is copied under one lock, and nothing waits.
type Store struct {
	tracesMax, bytesMax int

	mu        sync.Mutex
	traces    map[trace.TraceID]*record
	byRequest map[string]trace.TraceID // the newest trace of a request id
	ring      []trace.TraceID          // in order of arrival; the oldest stands at head
	head      int
	bytes     int
	evicted   uint64
	dropped   uint64
}

// record is one trace in the store.
type record struct {
	id       trace.TraceID
	requests []string
	spans    []Span
	dropped  int
	bytes    int
}

// Span is one finished piece of work.
type Span struct {
	ID         trace.SpanID
	Parent     trace.SpanID // zero for the first span of a trace
	Name       string
	Start, End time.Time
	Error      string // why it failed; "" when it did not
	Async      bool   // its parent did not wait for it: it heard an event
	Attributes []Attribute

	process string // where it ran, once it is part of a Merge
}

// Attribute is one thing that a span says about its work.
type Attribute struct{ Key, Value string }

// NewStore makes an empty store that holds at most so many traces and about so many bytes; 0 means the default.
func NewStore(traces, bytes int) *Store {
	if traces <= 0 {
		traces = TracesMax
	}
	if bytes <= 0 {
		bytes = TraceBytesMax
	}
	return &Store{
		tracesMax: traces,
		bytesMax:  bytes,
		traces:    make(map[trace.TraceID]*record),
		byRequest: make(map[string]trace.TraceID),
	}
}

// OnStart does nothing: a span is kept when it has ended.
func (s *Store) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// Shutdown does nothing: what was kept stays readable.
func (s *Store) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing: nothing is under way.
func (s *Store) ForceFlush(context.Context) error { return nil }

// OnEnd keeps a span, and lets the oldest traces go when the store is over its bounds.
func (s *Store) OnEnd(ended sdktrace.ReadOnlySpan) {
	span, request := copySpan(ended)
	id := ended.SpanContext().TraceID()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.recordOf(id)
	if request != "" {
		s.index(r, request)
	}
	s.keep(r, span)
	for len(s.traces) > s.tracesMax || s.bytes > s.bytesMax {
		s.evict()
	}
}

func (s *Store) recordOf(id trace.TraceID) *record {
	r, ok := s.traces[id]
	if !ok {
		r = &record{id: id, bytes: traceCost}
		s.bytes += traceCost
		s.traces[id] = r
		s.ring = append(s.ring, id)
	}
	return r
}

func (s *Store) index(r *record, request string) {
	if s.byRequest[request] == r.id || len(r.requests) == SpansMax {
		return
	}
	s.byRequest[request] = r.id
	r.requests = append(r.requests, request)
	r.bytes += len(request) + attributeCost
	s.bytes += len(request) + attributeCost
}

func (s *Store) keep(r *record, span Span) {
	if len(r.spans) == SpansMax {
		r.dropped++
		s.dropped++
		return
	}
	r.spans = append(r.spans, span)
	size := span.size()
	r.bytes += size
	s.bytes += size
}

// evict forgets the oldest trace.
func (s *Store) evict() {
	id := s.ring[s.head]
	s.head++
	if s.head*2 > len(s.ring) { // at least half of the slice is behind us: move the rest to the front
		s.ring = s.ring[:copy(s.ring, s.ring[s.head:])]
		s.head = 0
	}
	r := s.traces[id]
	delete(s.traces, id)
	for _, request := range r.requests {
		if s.byRequest[request] == id {
			delete(s.byRequest, request)
		}
	}
	s.bytes -= r.bytes
	s.evicted++
}

func (s Span) size() int {
	size := spanCost + len(s.Name) + len(s.Error)
	for _, a := range s.Attributes {
		size += attributeCost + len(a.Key) + len(a.Value)
	}
	return size
}

// copySpan takes what the store keeps of a span, and the request id that it names.
func copySpan(ended sdktrace.ReadOnlySpan) (span Span, request string) {
	span = Span{
		ID:    ended.SpanContext().SpanID(),
		Name:  clip(ended.Name()),
		Start: ended.StartTime(),
		End:   ended.EndTime(),
		Error: errorOf(ended.Status()),
		Async: ended.SpanKind() == trace.SpanKindConsumer,
	}
	if parent := ended.Parent(); parent.SpanID().IsValid() {
		span.Parent = parent.SpanID()
	}
	for _, a := range ended.Attributes() {
		if string(a.Key) == RequestIDKey {
			request = clip(a.Value.AsString())
		}
		if len(span.Attributes) < AttributesMax {
			span.Attributes = append(span.Attributes, Attribute{clip(string(a.Key)), clip(a.Value.String())})
		}
	}
	return span, request
}

func errorOf(status sdktrace.Status) string {
	switch {
	case status.Code != codes.Error:
		return ""
	case status.Description == "":
		return "failed"
	default:
		return clip(status.Description)
	}
}

func clip(text string) string {
	if len(text) > TextMax {
		return text[:TextMax]
	}
	return text
}

// find gives the spans of a trace by its id in hex, or by a request id.
func (s *Store) find(id string) (spans []Span, found trace.TraceID, dropped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok = s.byRequest[id]
	if !ok {
		parsed, err := trace.TraceIDFromHex(id)
		if err != nil {
			return nil, found, 0, false
		}
		found = parsed
	}
	r, ok := s.traces[found]
	if !ok {
		return nil, found, 0, false
	}
	return append([]Span(nil), r.spans...), found, r.dropped, true
}

// register tells how full the store is.
func (s *Store) register(r prometheus.Registerer) {
	gauge := func(name, help string, read func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, s.locked(read)))
	}
	counter := func(name, help string, read func() float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, s.locked(read)))
	}
	gauge("souk_traces_kept", "Traces in memory.", func() float64 { return float64(len(s.traces)) })
	gauge("souk_traces_bytes", "Memory that the kept traces take, as estimated.", func() float64 { return float64(s.bytes) })
	counter("souk_traces_evicted_total", "Traces forgotten to make room.", func() float64 { return float64(s.evicted) })
	counter("souk_traces_spans_dropped_total", "Spans not kept because their trace was full.", func() float64 { return float64(s.dropped) })
}

func (s *Store) locked(read func() float64) func() float64 {
	return func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return read()
	}
}
