// Package seeing asks the real shop what it tells about one checkout: by `souk trace`, to a collector, in its log.
package seeing

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/test/shop"
)

// The client's own trace, as Zipkin's libraries send it.
const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00f067aa0ba902b7"
)

// spans are those of the client's trace that the collector took.
type spans struct {
	mu  sync.Mutex
	got []*tracepb.Span
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plain, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(plain)
	var request collector.ExportTraceServiceRequest
	if err != nil || proto.Unmarshal(body, &request) != nil {
		http.Error(w, "not readable", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				if hex.EncodeToString(span.TraceId) == traceID {
					s.got = append(s.got, span)
				}
			}
		}
	}
}

// orphans are the parents that the collector does not know.
func (s *spans) orphans() (parents []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[string]bool{}
	for _, span := range s.got {
		known[hex.EncodeToString(span.SpanId)] = true
	}
	for _, span := range s.got {
		if p := hex.EncodeToString(span.ParentSpanId); !known[p] {
			parents = append(parents, p)
		}
	}
	return parents
}

// wanted are lines that the tree of a checkout has: the rooms that were asked, their databases, and what heard of it.
var wanted = []string{
	"API Gateway ", "└ Orders ", "├ Carts ", "├ Inventory ", "├ Payments ", "Inventory DB ", "Sandbox Confirm ",
	"OrderConfirmed → Inventory Orders ", "OrderConfirmed → Shipping Orders ", "OrderConfirmed → Notifications Orders ",
}

func TestMain(m *testing.M) { os.Exit(enginetest.Main{M: m}.Run()) }

func TestACheckoutIsSeenFromEverySide(t *testing.T) {
	for _, placement := range []shop.Placement{shop.One, shop.Split} {
		t.Run(string(placement), func(t *testing.T) { seen(t, placement) })
	}
}

func seen(t *testing.T, placement shop.Placement) {
	took := new(spans)
	server := httptest.NewServer(took)
	t.Cleanup(server.Close)
	s := shop.Start(t, shop.Options{Placement: placement, Env: []string{"SOUK_TELEMETRY_OTLP_ENDPOINT=" + server.URL, "SOUK_LOG=debug"}})
	s.Goods(t, 5, "A")
	order := s.ReadyCart(t, 1, "A").Checkout("k", "tok_ok")
	order.Header = map[string]string{"b3": traceID + "-" + parent + "-1"}
	answer := s.Call(t, 201, order)
	if told := answer.Header.Get("Traceparent"); !strings.HasPrefix(told, "00-"+traceID+"-") || !strings.HasSuffix(told, "-01") {
		t.Errorf("the answer names the trace %q, want the client's, recorded", told)
	}
	for _, id := range []string{traceID, answer.Header.Get("X-Request-Id")} {
		var tree string
		t.Cleanup(func() {
			if line := missing(tree); line != "" {
				t.Logf("souk trace %s lacks %q:\n%s", id, line, tree)
			}
		})
		shop.Eventually(t, "souk trace "+id+" shows every room", func() bool {
			tree, _ = shop.Souk(t, "trace", id, "--url", s.URL, "--key", s.Key)
			return missing(tree) == ""
		})
		t.Logf("souk trace %s\n%s", id, tree)
	}
	s.Stop() // and so the collector has all
	if got := took.orphans(); len(took.got) < len(wanted) || len(got) != 1 || got[0] != parent {
		t.Errorf("the collector has %d spans whose unknown parents are %v, want only the client's, %s", len(took.got), got, parent)
	}
	if !strings.Contains(s.Log(), `"trace_id":"`+traceID+`"`) {
		t.Errorf("no line of the log names the trace:\n%s", s.Log())
	}
}

func missing(tree string) string {
	for _, line := range wanted {
		if !strings.Contains(tree, line) {
			return line
		}
	}
	return ""
}
