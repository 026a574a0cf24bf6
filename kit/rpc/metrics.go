package rpc

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// metrics counts the calls by room, method and code.
type metrics struct {
	calls *prometheus.CounterVec
	took  *prometheus.HistogramVec
	away  *remoteMetrics
}

// durations are the buckets in seconds: from a look into memory to the timeout.
var durations = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_rpc_calls_total",
			Help: "Calls served, by room, method and gRPC code.",
		}, []string{"room", "method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "souk_rpc_duration_seconds",
			Help:    "Time that a call took in the room that served it.",
			Buckets: durations,
		}, []string{"room", "method"}),
		away: newRemoteMetrics(r),
	}
	if r != nil {
		m.calls = registered(r, m.calls)
		m.took = registered(r, m.took)
	}
	return m
}

// registered shares the collector of an earlier server of the same registry.
func registered[C prometheus.Collector](r prometheus.Registerer, c C) C {
	err := r.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if same, ok := already.ExistingCollector.(C); ok {
			return same
		}
	}
	return c
}

// observed are the metrics of one method, looked up once. The failures are
// looked up when they first happen, so that codes never seen are not shown.
type observed struct {
	ok     prometheus.Counter
	took   prometheus.Observer
	failed func(codes.Code) prometheus.Counter
}

func (m *metrics) of(room, method string) *observed { return observe(m.calls, m.took, room, method) }

func observe(calls *prometheus.CounterVec, took *prometheus.HistogramVec, room, method string) *observed {
	var seen sync.Map // codes.Code → prometheus.Counter
	return &observed{
		ok:   calls.WithLabelValues(room, method, codes.OK.String()),
		took: took.WithLabelValues(room, method),
		failed: func(code codes.Code) prometheus.Counter {
			if c, ok := seen.Load(code); ok {
				return c.(prometheus.Counter)
			}
			c := calls.WithLabelValues(room, method, code.String())
			seen.Store(code, c)
			return c
		},
	}
}

func (o *observed) ended(began time.Time, err error) {
	o.took.Observe(time.Since(began).Seconds())
	if err == nil {
		o.ok.Inc()
		return
	}
	o.failed(codeOf(describe(err))).Inc()
}
