package gateway_test

import (
	"io"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/kit/telemetry"
)

func TestB3IsTakenUpAndW3CIsSentOn(t *testing.T) {
	const (
		w3c   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		id    = "4bf92f3577b34da6a3ce929d0e0e4736"
		short = "a3ce929d0e0e4736"
		span  = "00f067aa0ba902b7"
		yes   = "00-" + id + "-" + span + "-01"
		no    = "00-" + id + "-" + span + "-00"
	)
	none := "" // a trace of our own
	for name, c := range map[string]struct {
		header []string
		want   string
	}{
		"single":                                {[]string{"b3", id + "-" + span + "-1"}, yes},
		"single, refused":                       {[]string{"b3", id + "-" + span + "-0"}, no},
		"single, debug, with the parent's":      {[]string{"b3", id + "-" + span + "-d-05e3ac9a4f6e3b90"}, yes},
		"single, undecided":                     {[]string{"b3", id + "-" + span}, no},
		"single of 64 bits":                     {[]string{"b3", short + "-" + span + "-1"}, "00-0000000000000000" + short + "-" + span + "-01"},
		"several":                               {[]string{"X-B3-TraceId", id, "X-B3-SpanId", span, "X-B3-Sampled", "1"}, yes},
		"several, old spelling of the sampling": {[]string{"X-B3-TraceId", id, "X-B3-SpanId", span, "X-B3-Sampled", "true"}, yes},
		"several, debug":                        {[]string{"X-B3-TraceId", id, "X-B3-SpanId", span, "X-B3-Flags", "1"}, yes},
		"W3C before B3":                         {[]string{"Traceparent", w3c, "b3", id + "-" + span + "-1"}, w3c},
		"single before several":                 {[]string{"b3", id + "-" + span + "-0", "X-B3-TraceId", short, "X-B3-SpanId", span, "X-B3-Sampled", "1"}, no},
		"a malformed W3C, then B3":              {[]string{"Traceparent", "00-x", "b3", id + "-" + span + "-1"}, yes},
		"a decision without ids":                {[]string{"b3", "1"}, none},
		"two of them":                           {[]string{"b3", id + "-" + span + "-1", "b3", id + "-" + span + "-1"}, none},
		"no span":                               {[]string{"X-B3-TraceId", id}, none},
		"nonsense":                              {[]string{"b3", strings.Repeat("z", 60)}, none},
		"too long":                              {[]string{"b3", id + "-" + span + "-1" + strings.Repeat("-", 10000)}, none},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(open(t, nil), "GET", "/api/books/b_1", "", c.header...)
			got := told(t, w)
			switch {
			case c.want == none && (len(got["trace"]) != 55 || strings.Contains(got["trace"], span)):
				t.Errorf("the room is told %q, want a trace of our own", got["trace"])
			case c.want != none && got["trace"] != c.want:
				t.Errorf("the room is told %q, want %q", got["trace"], c.want)
			}
			if got["header"] != "map[Traceparent:["+got["trace"]+"]]" || w.Header().Get("Traceparent") != got["trace"] {
				t.Errorf("the room sees %s and the client %v, want only the W3C header that goes on", got["header"], w.Header())
			}
		})
	}
}

// recorded counts the traces that the shop records of so many requests with these headers.
func recorded(t *testing.T, sampling telemetry.Sampling, requests int, header ...string) int {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	tel := telemetry.New(telemetry.Options{Out: io.Discard, Sampling: sampling, Processors: []trace.SpanProcessor{spans}})
	d := open(t, func(o *gateway.Options) { o.TracerProvider = tel.TracerProvider })
	for range requests {
		told(t, ask(d, "GET", "/api/books/b_1", "", header...))
	}
	return len(spans.Ended())
}

func TestAStrangerCannotHaveEverythingTraced(t *testing.T) {
	const ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
	few := telemetry.Sampling{PerSecond: -1, AskedPerSecond: 3}
	for name, header := range map[string][]string{
		"W3C":        {"Traceparent", "00-" + ids + "-01"},
		"B3":         {"b3", ids + "-1"},
		"B3, debug":  {"b3", ids + "-d"},
		"B3 several": {"X-B3-TraceId", ids[:32], "X-B3-SpanId", ids[33:], "X-B3-Flags", "1"},
	} {
		if n := recorded(t, few, 200, header...); n < 3 || n > 30 {
			t.Errorf("%s: of 200 that were asked for, %d are recorded, want those of the allowance", name, n)
		}
	}
	own := telemetry.Sampling{PerSecond: 5, AskedPerSecond: -1}
	if n := recorded(t, own, 200, "b3", ids); n < 5 || n > 50 {
		t.Errorf("of 200 that left the choice to us %d are recorded, want those of our own allowance", n)
	}
	if n := recorded(t, own, 200, "b3", ids+"-0"); n != 0 {
		t.Errorf("of those that are not to be recorded %d are", n)
	}
}
