package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/telemetry"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(ms int) trace.SpanEventOption {
	return trace.WithTimestamp(noon.Add(time.Duration(ms) * time.Millisecond))
}

// span records one finished span under ctx and gives the context of its children.
func span(ctx context.Context, tel *telemetry.Telemetry, name string, from, to int, attrs ...attribute.KeyValue) context.Context {
	under, s := tel.TracerProvider.Tracer("souk").Start(ctx, name, at(from), trace.WithAttributes(attrs...))
	s.End(at(to))
	return under
}

// checkout records the request of the design's example.
func checkout(tel *telemetry.Telemetry, request string) trace.TraceID {
	gateway := span(context.Background(), tel, "api gateway", 0, 84, attribute.String(telemetry.RequestIDKey, request))
	orders := span(gateway, tel, "orders", 1, 83)
	span(orders, tel, "inventory", 2, 14)
	span(orders, tel, "orders db", 40, 65)
	return trace.SpanContextFromContext(gateway).TraceID()
}

func TestTreeIsDrawnInTheOrderOfWork(t *testing.T) {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}})
	id := checkout(tel, "req_1")
	want := strings.TrimPrefix(`
API Gateway 2ms of 84ms
└ Orders 45ms of 82ms
  ├ Inventory 12ms
  └ Orders DB 25ms
`, "\n")
	for _, asked := range []string{"req_1", id.String()} {
		tree, ok := tel.Traces.Tree(asked)
		if !ok {
			t.Fatalf("Tree(%q) is not found", asked)
		}
		if diff := cmp.Diff(want, tree.String()); diff != "" {
			t.Errorf("Tree(%q) (-want +got):\n%s", asked, diff)
		}
	}
}

func TestTreeCountsOwnTimeOnce(t *testing.T) {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}})
	parent := span(context.Background(), tel, "orders", 0, 100, attribute.String(telemetry.RequestIDKey, "r"))
	span(parent, tel, "overlaps", 10, 50)
	span(parent, tel, "overlapped", 20, 40)
	span(parent, tel, "outlives its parent", 90, 300)
	tree, _ := tel.Traces.Tree("r")
	if own := tree.Roots[0].Own; own != 50*time.Millisecond {
		t.Errorf("own time is %v, want 50ms: 100 less 40 of the two that overlap and 10 of the one that outlives", own)
	}
}

func TestTreeMarksErrorsAndCountsWhatItLeftOut(t *testing.T) {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}})
	ctx, s := tel.TracerProvider.Tracer("souk").Start(context.Background(), "payments", at(0))
	s.SetStatus(codes.Error, "card declined")
	s.End(at(3))
	for range telemetry.SpansMax + 4 {
		span(ctx, tel, "try", 0, 1)
	}
	tree, _ := tel.Traces.Tree(trace.SpanContextFromContext(ctx).TraceID().String())
	if first, _, _ := strings.Cut(tree.String(), "\n"); first != "Payments 2ms of 3ms ✗ card declined" {
		t.Errorf("first line is %q", first)
	}
	if tree.Dropped != 5 {
		t.Errorf("dropped is %d, want 5", tree.Dropped)
	}
}

func TestSpansAreNamedAsAPersonReadsThem(t *testing.T) {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}})
	for _, c := range []struct {
		span, room, want string
	}{
		{"gateway", "orders", "API Gateway"},
		{"api gateway", "", "API Gateway"},
		{"orders db", "", "Orders DB"},
		{"souk.orders.v1.Checkout/Place", "orders", "Orders"},
		{"library.v1.Shelves/Put", "", "Shelves"},
		{"élan", "", "Élan"},
	} {
		span(context.Background(), tel, c.span, 0, 1, attribute.String("room", c.room), attribute.String("request_id", c.span))
		tree, _ := tel.Traces.Tree(c.span)
		if got := tree.Roots[0]; got.Name != c.want || got.Span != c.span {
			t.Errorf("span %q of room %q is called %q (%q), want %q", c.span, c.room, got.Name, got.Span, c.want)
		}
	}
}

func TestStoreStaysWithinItsBounds(t *testing.T) {
	for name, o := range map[string]telemetry.Options{
		"by traces": {Traces: 3},
		"by bytes":  {TraceBytes: 3 * 1500},
	} {
		t.Run(name, func(t *testing.T) {
			o.Out, o.Sampling.PerSecond, o.Clock = &bytes.Buffer{}, 1000, clock.NewFake(noon)
			tel := telemetry.New(o)
			for i := range 100 {
				checkout(tel, fmt.Sprintf("req_%d", i))
			}
			if _, ok := tel.Traces.Tree("req_0"); ok {
				t.Error("the oldest trace is still kept")
			}
			if _, ok := tel.Traces.Tree("req_99"); !ok {
				t.Error("the newest trace is not kept")
			}
			kept := 0
			for i := range 100 {
				if _, ok := tel.Traces.Tree(fmt.Sprintf("req_%d", i)); ok {
					kept++
				}
			}
			if kept > 4 || kept < 2 {
				t.Errorf("%d traces are kept, want about 3", kept)
			}
		})
	}
}

func TestStoreBearsConcurrentSpans(t *testing.T) {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}, Traces: 10, Sampling: telemetry.Sampling{PerSecond: 1_000_000}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				id := fmt.Sprintf("req_%d_%d", i, j)
				checkout(tel, id)
				tel.Traces.Tree(id)
			}
		})
	}
	wg.Wait()
	if n := testutil.CollectAndCount(tel.Registry, "souk_traces_kept"); n != 1 {
		t.Errorf("souk_traces_kept has %d series, want 1", n)
	}
}

func TestSamplerChoosesAtTheFrontDoor(t *testing.T) {
	now := clock.NewFake(noon)
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}, Clock: now, Sampling: telemetry.Sampling{PerSecond: 2}})
	recorded := func(ctx context.Context) bool {
		_, s := tel.TracerProvider.Tracer("souk").Start(ctx, "request")
		defer s.End()
		return s.IsRecording()
	}
	remote := func(flags trace.TraceFlags) context.Context {
		return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: true,
		}))
	}
	root := context.Background()
	got := []bool{recorded(root), recorded(root), recorded(root), recorded(remote(trace.FlagsSampled)), recorded(remote(0))}
	if diff := cmp.Diff([]bool{true, true, false, true, false}, got); diff != "" {
		t.Errorf("two roots, one too many, one asked for, one asked not (-want +got):\n%s", diff)
	}
	now.Advance(time.Second)
	if !recorded(root) {
		t.Error("a second later no root is recorded")
	}
}

type requestKey struct{}

func TestLogCarriesWhatTheContextKnows(t *testing.T) {
	var out bytes.Buffer
	tel := telemetry.New(telemetry.Options{
		Out:       &out,
		RequestID: func(ctx context.Context) string { s, _ := ctx.Value(requestKey{}).(string); return s },
		Room:      func(context.Context) string { return "from the context" },
	})
	ctx, s := tel.TracerProvider.Tracer("souk").Start(context.WithValue(context.Background(), requestKey{}, "req_7"), "x")
	defer s.End()
	tel.Log.With("room", "orders").InfoContext(ctx, "placed", "order", "ord_1", "request_id", "req_7")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	want := map[string]any{
		"level": "INFO", "msg": "placed", "order": "ord_1", "room": "orders", "request_id": "req_7",
		"trace_id": s.SpanContext().TraceID().String(), "span_id": s.SpanContext().SpanID().String(),
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
	for _, key := range []string{`"room"`, `"request_id"`} {
		if n := strings.Count(out.String(), key); n != 1 {
			t.Errorf("%s is written %d times", key, n)
		}
	}
}

func TestTracesAreServedToStaffAlone(t *testing.T) {
	tel := telemetry.New(telemetry.Options{
		Out:    &bytes.Buffer{},
		MaySee: func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer staff" },
	})
	checkout(tel, "req_1")
	for _, c := range []struct {
		name, path, token, accept, body string
		status                          int
	}{
		{"a stranger is refused", "/api/traces/req_1", "", "", `"code":"forbidden"`, 403},
		{"staff get JSON", "/api/traces/req_1", "Bearer staff", "", `"name": "API Gateway"`, 200},
		{"staff get text when they ask for it", "/api/traces/req_1", "Bearer staff", "text/plain", "└ Orders 45ms", 200},
		{"a trace that is not kept is not found", "/api/traces/req_9", "Bearer staff", "", `"code":"trace_not_found"`, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, c.path, nil)
			r.Header.Set("Authorization", c.token)
			r.Header.Set("Accept", c.accept)
			w := httptest.NewRecorder()
			tel.Handler().ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("answer is %d %s, want %d with %s", w.Code, w.Body, c.status, c.body)
			}
		})
	}
}

func TestMetricsTellOfTheProcess(t *testing.T) {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}})
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "souk_traces_kept"} {
		if !strings.Contains(w.Body.String(), name) {
			t.Errorf("%s is not served", name)
		}
	}
	if err := tel.Close(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkSpanNotRecorded(b *testing.B) {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}, Sampling: telemetry.Sampling{PerSecond: -1}})
	tracer := tel.TracerProvider.Tracer("souk")
	b.ReportAllocs()
	for b.Loop() {
		_, s := tracer.Start(context.Background(), "request")
		s.End()
	}
}

func ExampleStore_Tree() {
	tel := telemetry.New(telemetry.Options{Out: &bytes.Buffer{}})
	checkout(tel, "req_1")
	tree, _ := tel.Traces.Tree("req_1")
	fmt.Print(tree)
	// Output:
	// API Gateway 2ms of 84ms
	// └ Orders 45ms of 82ms
	//   ├ Inventory 12ms
	//   └ Orders DB 25ms
}
