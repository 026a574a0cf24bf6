package gateway_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-21071466/souk/gateway"
)

func TestTrace(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	t.Run("without a tracer the client's is passed on", func(t *testing.T) {
		w := ask(open(t, nil), "GET", "/api/books/b_1", "", "Traceparent", parent, "Tracestate", "a=1,b=2")
		if got := told(t, w); got["trace"] != parent || got["state"] != "a=1,b=2" || w.Header().Get("Traceparent") != parent {
			t.Errorf("%v", got)
		}
	})
	t.Run("a malformed one is as good as none", func(t *testing.T) {
		d := open(t, nil)
		for _, bad := range []string{
			"", "x", strings.ToUpper(parent), "ff" + parent[2:], parent + "-x", parent[:54], "00-00000000000000000000000000000000-b7ad6b7169203331-01",
			"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", strings.Replace(parent, "-", "_", 1), parent[:53] + "0g", strings.Repeat("0", 10000),
		} {
			got := told(t, ask(d, "GET", "/api/books/b_1", "", "Traceparent", bad, "Tracestate", "a=1"))
			if len(got["trace"]) != 55 || got["trace"][3:35] == parent[3:35] || got["state"] != "" {
				t.Errorf("%q: %v", bad, got)
			}
		}
		if got := told(t, ask(d, "GET", "/api/books/b_1", "", "Traceparent", parent, "Traceparent", parent)); got["trace"] == parent {
			t.Error("two were taken")
		}
	})
	t.Run("a later version is read as far as it is known", func(t *testing.T) {
		got := told(t, ask(open(t, nil), "GET", "/api/books/b_1", "", "Traceparent", "01"+parent[2:]+"-more"))
		if got["trace"] != parent {
			t.Errorf("%v", got)
		}
	})
	t.Run("a malformed tracestate goes alone", func(t *testing.T) {
		got := told(t, ask(open(t, nil), "GET", "/api/books/b_1", "", "Traceparent", parent, "Tracestate", "A B C"))
		if got["trace"] != parent || got["state"] != "" {
			t.Errorf("%v", got)
		}
	})
	t.Run("with a tracer the room's parent is the gateway's span", func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
		d := open(t, func(o *gateway.Options) { o.TracerProvider = provider })
		got := told(t, ask(d, "GET", "/api/books/b_1", "", "Traceparent", parent))
		ended := spans.Ended()
		if len(ended) != 1 || ended[0].Name() != "gateway" || ended[0].Parent().SpanID().String() != "b7ad6b7169203331" {
			t.Fatalf("%v", ended)
		}
		if want := "00-0af7651916cd43dd8448eb211c80319c-" + ended[0].SpanContext().SpanID().String() + "-01"; got["trace"] != want {
			t.Errorf("%s, want %s", got["trace"], want)
		}
	})
	t.Run("probes and scrapes are recorded when they ask for it alone", func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
		d := open(t, func(o *gateway.Options) { o.TracerProvider = provider })
		for _, probe := range []string{"/healthz", "/readyz"} {
			if w := ask(d, "GET", probe, ""); len(w.Header().Get("Traceparent")) != 55 {
				t.Errorf("%s: the answer names no trace: %v", probe, w.Header())
			}
			ask(d, "GET", probe, "", "Traceparent", parent)
		}
		if ended := spans.Ended(); len(ended) != 2 || ended[0].Parent().SpanID().String() != "b7ad6b7169203331" {
			t.Errorf("%d spans were recorded, want the two that were asked for", len(ended))
		}
	})
}

func FuzzTraceParent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-x")
	d := open(f, nil)
	f.Fuzz(func(t *testing.T, parent string) {
		w := ask(d, "GET", "/api/books/silent", "", "Traceparent", parent)
		got := w.Header().Get("Traceparent")
		if len(got) != 55 || !strings.HasPrefix(got, "00-") || strings.ToLower(got) != got {
			t.Errorf("%q became %q", parent, got)
		}
	})
}
