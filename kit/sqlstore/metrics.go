package sqlstore

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one store; the label store is its name.
type metrics struct {
	group        prometheus.Histogram
	commit       prometheus.Histogram
	wait         prometheus.Histogram
	updates      prometheus.Counter
	refused      prometheus.Counter
	failed       prometheus.Counter
	reruns       prometheus.Counter
	commitBefore string // names of the crash points
	commitAfter  string
	unregister   func()
	show         func(whether bool)
}

func newMetrics(name string, registerer prometheus.Registerer, others ...prometheus.Collector) (*metrics, error) {
	seconds := prometheus.ExponentialBuckets(0.0001, 2, 16) // 0.1 ms … 3 s
	outcome := func(o string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Name: "souk_sqlstore_updates_total", Help: "Updates by outcome: kept, refused by their function, failed with the disk.",
			ConstLabels: prometheus.Labels{"outcome": o},
		})
	}
	m := &metrics{
		group:   histogram("souk_sqlstore_group_size", "Updates that shared one commit.", prometheus.ExponentialBuckets(1, 2, 10)),
		commit:  histogram("souk_sqlstore_commit_seconds", "Time of one durable commit.", seconds),
		wait:    histogram("souk_sqlstore_queue_seconds", "Time an update waited for the writer.", seconds),
		updates: outcome("kept"), refused: outcome("refused"), failed: outcome("failed"),
		reruns: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "souk_sqlstore_reruns_total", Help: "Groups of updates that ran again because the database had undone them or the connection was lost.",
		}),
		commitBefore: name + " commit before", commitAfter: name + " commit after",
	}
	return m, m.register(name, registerer, others)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

// register shows the metrics until unregister. A second store of the same name counts unseen.
func (m *metrics) register(name string, registerer prometheus.Registerer, others []prometheus.Collector) error {
	m.unregister = func() {}
	if registerer == nil {
		m.show = func(bool) {}
		return nil
	}
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"store": name}, registerer)
	all := append(others, m.group, m.commit, m.wait, m.updates, m.refused, m.failed, m.reruns)
	var shown []prometheus.Collector
	m.unregister = func() {
		for _, c := range shown {
			labelled.Unregister(c)
		}
		shown = nil
	}
	m.show = func(whether bool) {
		m.unregister()
		if whether {
			shown, _ = showAll(labelled, all) // they were registered once without an error
		}
	}
	var err error
	shown, err = showAll(labelled, all)
	return err
}

// showAll tells which are shown; those of a name that is taken are not.
func showAll(registerer prometheus.Registerer, all []prometheus.Collector) (shown []prometheus.Collector, err error) {
	for _, c := range all {
		var twice prometheus.AlreadyRegisteredError
		switch err := registerer.Register(c); {
		case err == nil:
			shown = append(shown, c)
		case !errors.As(err, &twice):
			return shown, fmt.Errorf("register metrics: %w", err)
		}
	}
	return shown, nil
}

func (m *metrics) waited(since time.Time) { m.wait.Observe(time.Since(since).Seconds()) }

func (m *metrics) committed(began time.Time) { m.commit.Observe(time.Since(began).Seconds()) }

func (m *metrics) grouped(g *group) {
	if len(g.members) == 0 {
		return // every caller had left
	}
	m.group.Observe(float64(len(g.members)))
	refused := 0
	for _, r := range g.members {
		if r.err != nil || r.panic != nil {
			refused++
		}
	}
	if g.fatal != nil {
		m.failed.Add(float64(len(g.members)))
		return
	}
	m.refused.Add(float64(refused))
	m.updates.Add(float64(len(g.members) - refused))
}
