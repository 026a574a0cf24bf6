package storeredis

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what an operator sees of the connection.
type metrics struct {
	seconds   *prometheus.HistogramVec // by op
	failures  *prometheus.CounterVec   // by reason
	conflicts prometheus.Counter

	registerer prometheus.Registerer
	shown      []prometheus.Collector
}

func newMetrics(r prometheus.Registerer, gate chan struct{}) (*metrics, error) {
	m := &metrics{
		registerer: r,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "souk_carts_redis_seconds", Help: "One command, with all that was tried again.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 10),
		}, []string{"op"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_carts_redis_failures_total", Help: "Commands without a good answer.",
		}, []string{"reason"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "souk_carts_redis_conflicts_total", Help: "Changes that began anew because another one was faster.",
		}),
	}
	for _, reason := range []string{timeout, connection, server, refused, full} {
		m.failures.WithLabelValues(reason)
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "souk_carts_redis_in_flight", Help: "Commands under way.",
	}, func() float64 { return float64(len(gate)) })
	return m, m.register(m.seconds, m.failures, m.conflicts, inFlight)
}

func (m *metrics) register(all ...prometheus.Collector) error {
	if m.registerer == nil {
		return nil
	}
	for _, c := range all {
		if err := m.registerer.Register(c); err != nil {
			m.unregister()
			return fmt.Errorf("register the metrics of carts: %w", err)
		}
		m.shown = append(m.shown, c)
	}
	return nil
}

// unregister makes room for the next to open.
func (m *metrics) unregister() {
	for _, c := range m.shown {
		m.registerer.Unregister(c)
	}
}
