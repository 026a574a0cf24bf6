package telemetry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// member is one process of a shop in a test, with a clock of its own.
type member struct {
	*telemetry.Telemetry
	clock  *clock.Fake
	server *httptest.Server // of Internal
}

// process starts one whose clock is off by so much.
func process(t *testing.T, name string, off time.Duration, neighbours func() []telemetry.Neighbour) *member {
	t.Helper()
	m := &member{clock: clock.NewFake(noon.Add(off))}
	m.Telemetry = telemetry.New(telemetry.Options{
		Out: io.Discard, Process: name, Instance: name + "-1", Clock: m.clock, MaySee: func(*http.Request) bool { return true },
	})
	if neighbours != nil {
		m.Meet(neighbours)
	}
	m.server = httptest.NewServer(m.Internal())
	t.Cleanup(m.server.Close)
	return m
}

func (m *member) neighbour(name string) telemetry.Neighbour {
	return telemetry.NeighbourAt(name, m.server.URL, m.server.Client())
}

// work records a span of this process from so many milliseconds after noon, by its own clock, to so many.
func (m *member) work(ctx context.Context, name string, from, to int, o ...trace.SpanStartOption) context.Context {
	base := m.clock.Now()
	ms := func(n int) trace.SpanEventOption {
		return trace.WithTimestamp(base.Add(time.Duration(n) * time.Millisecond))
	}
	under, s := m.TracerProvider.Tracer("souk").Start(ctx, name, append(o, ms(from))...)
	s.End(ms(to))
	return under
}

// send is a call's way over the network: nothing but the W3C header arrives.
func send(ctx context.Context) context.Context {
	header := http.Header{}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
	return propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(header))
}

// bought is a checkout that crosses two processes and is heard of in the second afterwards.
func bought(gateway, orders *member) trace.TraceID {
	asked := trace.WithAttributes(attribute.String(telemetry.RequestIDKey, "req_1"))
	front := gateway.work(context.Background(), "gateway", 0, 84, asked)
	call := orders.work(send(front), "souk.orders.v1.Checkout/Place", 2, 82, asked)
	orders.work(call, "orders db", 10, 35)
	gateway.work(send(call), "souk.carts.v1.Carts/Get", 40, 52)
	orders.work(send(call), "OrderConfirmed → shipping.orders", 90, 95, trace.WithSpanKind(trace.SpanKindConsumer))
	return trace.SpanContextFromContext(front).TraceID()
}

const whole = `API Gateway 4ms of 84ms @gateway
└ Checkout 43ms of 80ms @orders
  ├ Orders DB 25ms
  ├ Carts 12ms @gateway
  └ OrderConfirmed → Shipping Orders 5ms
`

func TestATraceOfTwoProcessesIsOneTreeFromEither(t *testing.T) {
	var gateway, orders *member
	gateway = process(t, "gateway", 0, func() []telemetry.Neighbour { return []telemetry.Neighbour{orders.neighbour("orders")} })
	orders = process(t, "orders", 0, func() []telemetry.Neighbour { return []telemetry.Neighbour{gateway.neighbour("gateway")} })
	id := bought(gateway, orders)
	for _, asked := range []*member{gateway, orders} {
		for _, by := range []string{id.String(), "req_1"} {
			tree, ok := asked.Whole(t.Context(), by)
			if diff := cmp.Diff(whole, tree.String()); !ok || diff != "" || tree.TraceID != id.String() {
				t.Errorf("tree %s of %s (-want +got):\n%s", by, tree.TraceID, diff)
			}
		}
	}
}

// A process that only heard an event knows the trace and not the request: it is asked again by the trace's id, also by a
// process that had no part in it.
func TestWhoOnlyHeardOfARequestIsFoundByItsTrace(t *testing.T) {
	var gateway, shipping *member
	gateway = process(t, "gateway", 0, nil)
	shipping = process(t, "shipping", 0, nil)
	orders := process(t, "orders", 0, func() []telemetry.Neighbour {
		return []telemetry.Neighbour{shipping.neighbour("shipping"), gateway.neighbour("gateway")}
	})
	front := gateway.work(context.Background(), "gateway", 0, 10, trace.WithAttributes(attribute.String(telemetry.RequestIDKey, "req_1")))
	shipping.work(send(front), "OrderConfirmed → shipping.orders", 5, 20, trace.WithSpanKind(trace.SpanKindConsumer))
	tree, ok := orders.Whole(t.Context(), "req_1")
	want := "API Gateway 10ms @gateway\n└ OrderConfirmed → Shipping Orders 15ms @shipping\n"
	if diff := cmp.Diff(want, tree.String()); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestClocksThatDisagreeAreTakenOff(t *testing.T) {
	for _, off := range []time.Duration{3 * time.Second, -3 * time.Second, 40 * time.Millisecond} {
		var orders *member
		gateway := process(t, "gateway", 0, func() []telemetry.Neighbour { return []telemetry.Neighbour{orders.neighbour("orders")} })
		orders = process(t, "orders", off, nil)
		id := bought(gateway, orders)
		tree, _ := gateway.Whole(t.Context(), id.String())
		note := fmt.Sprintf("(the clock of orders is %v ahead: its times are put right)\n", off)
		if off < 0 {
			note = fmt.Sprintf("(the clock of orders is %v behind: its times are put right)\n", -off)
		}
		if diff := cmp.Diff(whole+note, tree.String()); diff != "" {
			t.Errorf("off by %v (-want +got):\n%s", off, diff)
		}
		if call := tree.Roots[0].Children[0]; !call.Start.Equal(noon.Add(2 * time.Millisecond)) {
			t.Errorf("off by %v: the call is shown at %v, want it 2ms after the request", off, call.Start)
		}
	}
}

// Where nobody measured the clocks, at least no effect begins before its cause.
func TestNoEffectBeginsBeforeItsCause(t *testing.T) {
	gateway, orders := process(t, "gateway", 0, nil), process(t, "orders", -3*time.Second, nil)
	id := bought(gateway, orders).String()
	front, _ := gateway.Part(id)
	behind, _ := orders.Part(id)
	tree := telemetry.Merge(front, behind, behind) // one of them told twice
	var check func(n telemetry.Node)
	spans := 0
	check = func(n telemetry.Node) {
		spans++
		for _, c := range n.Children {
			if c.Start.Before(n.Start) {
				t.Errorf("%s at %v begins before %s at %v", c.Name, c.Start, n.Name, n.Start)
			}
			check(c)
		}
	}
	if len(tree.Roots) != 1 || tree.Clocks != nil {
		t.Fatalf("the tree is %+v, want one root and clocks that nobody measured", tree)
	}
	check(tree.Roots[0])
	if call := tree.Roots[0].Children[0]; spans != 5 || call.Total != 80*time.Millisecond || call.Children[0].Start.Sub(call.Start) != 8*time.Millisecond {
		t.Errorf("%d spans; the call took %v; what it did must keep its distance: %+v", spans, call.Total, call)
	}
}

func TestATreeSaysWhoDidNotAnswer(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer broken.Close()
	hangs := func(ctx context.Context, _ string) (telemetry.Part, bool, error) {
		<-ctx.Done()
		return telemetry.Part{}, false, ctx.Err()
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	gateway := process(t, "gateway", 0, func() []telemetry.Neighbour {
		return []telemetry.Neighbour{
			telemetry.NeighbourAt("orders", broken.URL, broken.Client()), {Name: "carts", Ask: hangs}, telemetry.NeighbourAt("users", gone.URL, gone.Client()),
		}
	})
	id := checkout(gateway.Telemetry, "req_1").String()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	tree, ok := gateway.Whole(ctx, id)
	want := []telemetry.Absent{{"orders", "it answered 502 Bad Gateway"}, {"carts", "it took too long"}, {"users", "it could not be reached"}}
	if diff := cmp.Diff(want, tree.Missing); !ok || diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if text := tree.String(); !strings.Contains(text, "└ Orders 45ms") || !strings.Contains(text, "(carts did not answer, its part is missing: it took too long)") {
		t.Errorf("the tree is\n%s", text)
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/traces/req_9", nil)
	w := httptest.NewRecorder()
	gateway.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "did not answer: orders, carts, users") {
		t.Errorf("a trace that those who are missing may have is answered %d %s", w.Code, w.Body)
	}
}

func TestTheTreeIsTheSameAfterJSON(t *testing.T) {
	var orders *member
	gateway := process(t, "gateway", 0, func() []telemetry.Neighbour { return []telemetry.Neighbour{orders.neighbour("orders")} })
	orders = process(t, "orders", time.Minute, nil)
	id := bought(gateway, orders).String()
	w := httptest.NewRecorder()
	gateway.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/traces/"+id, nil))
	var read telemetry.Tree
	if err := json.Unmarshal(w.Body.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	tree, _ := gateway.Whole(t.Context(), id)
	if diff := cmp.Diff(tree.String(), read.String()); diff != "" || len(read.Clocks) != 1 {
		t.Errorf("(-sent +read):\n%s", diff)
	}
}

func TestAPartThatCannotBeReadIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON":                "<html>",
		"a span without id":      `{"spans": [{"name": "x"}]}`,
		"a parent that is no id": `{"spans": [{"span_id": "00f067aa0ba902b7", "parent_span_id": "x"}]}`,
		"more than is read":      `{"trace_id": "` + strings.Repeat("x", telemetry.PartMax) + `"}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		_, kept, err := telemetry.NeighbourAt("x", server.URL, server.Client()).Ask(t.Context(), "id")
		server.Close()
		if kept || err == nil || !strings.Contains(err.Error(), "its part") {
			t.Errorf("%s: kept %v, error %v", name, kept, err)
		}
	}
}

func FuzzMergeBearsWhateverAProcessSays(f *testing.F) {
	f.Add([]byte(`{"trace_id":"a","process":"p","spans":[{"span_id":"0000000000000001","parent_span_id":"0000000000000002"},{"span_id":"0000000000000002","parent_span_id":"0000000000000001"}]}`))
	f.Add([]byte(`{"trace_id":"a","spans":[{"span_id":"0000000000000001","name":"x","attributes":{"room":"r"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p telemetry.Part
		if json.Unmarshal(body, &p) == nil {
			_ = telemetry.Merge(p, telemetry.Part{TraceID: p.TraceID, Process: "other", Spans: p.Spans}).String()
		}
	})
}
