package saga

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// countWaitMax bounds how long a scrape waits for the store.
const countWaitMax = time.Second

// metrics of one driver. Labels are the names of sagas and steps, bounded by the program.
type metrics struct {
	open  *prometheus.Desc
	store *sqlstore.Store
	steps *prometheus.HistogramVec
	ends  *prometheus.CounterVec
	parks *prometheus.CounterVec

	takeovers prometheus.Counter
}

func newMetrics(store *sqlstore.Store, r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		store: store,
		open: prometheus.NewDesc("souk_saga_runs", "Runs that are running, compensating or parked.",
			[]string{"saga", "state"}, nil),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "souk_saga_step_seconds", Help: "One attempt of one step.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}, []string{"saga", "step", "outcome"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_saga_runs_done_total", Help: "Runs brought to an end by the driver.",
		}, []string{"saga"}),
		parks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_saga_runs_parked_total", Help: "Runs parked by the driver, for an operator to see to.",
		}, []string{"saga", "step"}),
		takeovers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "souk_saga_takeovers_total", Help: "Runs taken over from drivers of other processes that live no more.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range m.all() {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register saga metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{openRuns{m}, m.steps, m.ends, m.parks, m.takeovers}
}

// unregister lets the store be closed: a scrape no longer asks it.
func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}

func (m *metrics) attempted(r Run, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	step := r.Step
	if r.State == Compensating {
		step = "undo_" + step
	}
	m.steps.WithLabelValues(r.Saga, step, outcome).Observe(took.Seconds())
}

func (m *metrics) ended(r Run) {
	if r.State == Done {
		m.ends.WithLabelValues(r.Saga).Inc()
	}
}

func (m *metrics) park(r Run) { m.parks.WithLabelValues(r.Saga, r.Step).Inc() }

// openRuns counts what is unfinished when somebody asks, so that driving costs nothing for it.
type openRuns struct{ m *metrics }

// Describe tells Prometheus what there will be.
func (o openRuns) Describe(out chan<- *prometheus.Desc) { out <- o.m.open }

// Collect counts the unfinished runs by saga and state.
func (o openRuns) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countWaitMax)
	defer cancel()
	err := o.m.store.View(ctx, func(tx sqlstore.Tx) error {
		rows, err := tx.Query(`SELECT saga, state, COUNT(*) FROM saga_runs
			WHERE state IN ('running', 'compensating', 'parked') GROUP BY saga, state`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var saga, state string
			var n int64
			if err := rows.Scan(&saga, &state, &n); err != nil {
				return err
			}
			out <- prometheus.MustNewConstMetric(o.m.open, prometheus.GaugeValue, float64(n), saga, state)
		}
		return rows.Err()
	})
	if err != nil {
		out <- prometheus.NewInvalidMetric(o.m.open, fmt.Errorf("count open runs: %w", err))
	}
}
