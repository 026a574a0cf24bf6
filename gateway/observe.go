package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count the requests by route pattern, method and class of status;
// labels are bounded by the route table.
type metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

// durations are the buckets in seconds.
var durations = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15}

func newMetrics(r prometheus.Registerer, inFlight func() float64) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_http_requests_total", Help: "Requests answered, by route, method and class of status.",
		}, []string{"route", "method", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "souk_http_duration_seconds", Help: "Time from a request's header to its answer.", Buckets: durations,
		}, []string{"route", "method"}),
	}
	if r != nil {
		m.requests, m.took = registered(r, m.requests), registered(r, m.took)
		registered(r, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "souk_http_in_flight", Help: "Requests being served.",
		}, inFlight))
	}
	return m
}

// registered shares the collector of an earlier gateway of the same registry.
func registered[C prometheus.Collector](r prometheus.Registerer, c C) C {
	var already prometheus.AlreadyRegisteredError
	if errors.As(r.Register(c), &already) {
		if same, ok := already.ExistingCollector.(C); ok {
			return same
		}
	}
	return c
}

var classes = [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// observed are the metrics of one route, looked up once; those of a class when
// it is first seen, so that what never happened is not shown.
type observed struct {
	metrics       *metrics
	method, route string // method "" or "*": the request's
	took          prometheus.Observer
	counts        [len(classes)]atomic.Pointer[prometheus.Counter]
}

func (m *metrics) of(method, route string) *observed {
	o := &observed{metrics: m, method: method, route: route}
	if method != "" && method != "*" {
		o.took = m.took.WithLabelValues(route, method)
	}
	return o
}

func (o *observed) ended(method string, status int, took time.Duration) {
	class := min(max(status/100, 1), len(classes)) - 1
	if o.took == nil {
		method = methodLabel(method)
		o.metrics.took.WithLabelValues(o.route, method).Observe(took.Seconds())
		o.metrics.requests.WithLabelValues(o.route, method, classes[class]).Inc()
		return
	}
	o.took.Observe(took.Seconds())
	count := o.counts[class].Load()
	if count == nil {
		c := o.metrics.requests.WithLabelValues(o.route, o.method, classes[class])
		count = &c
		o.counts[class].Store(count)
	}
	(*count).Inc()
}

// methodLabel bounds a label, for a client may send any word.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// log writes what an operator looks for: failures and slow requests always,
// the others at debug. It names route and principal, never the address, the
// query or a token.
func (g *Gateway) log(v *visit, took time.Duration) {
	level := slog.LevelDebug
	switch {
	case v.status >= http.StatusInternalServerError || v.status == 0:
		level = slog.LevelWarn
	case took >= g.o.Slow:
		level = slog.LevelInfo
	}
	if !g.o.Log.Enabled(v.ctx, level) {
		return
	}
	g.o.Log.LogAttrs(v.ctx, level, "request",
		slog.String("method", methodLabel(v.r.Method)), slog.String("route", v.entry.Pattern), slog.String("room", v.entry.Room),
		slog.Int("status", v.status), slog.Duration("took", took), slog.String("principal", v.call.Principal.String()),
		slog.String("request_id", v.call.RequestID), slog.String("traceparent", v.call.TraceParent))
}
