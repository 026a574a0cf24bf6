package lease

import (
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the keepers of a process. Names of leases are bounded by the program, once what tells processes apart is
// cut off.
type metrics struct {
	held     *prometheus.GaugeVec
	epoch    *prometheus.GaugeVec
	renewals *prometheus.CounterVec
	losses   *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	byName := []string{"store", "lease"}
	return &metrics{
		held: shared(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "souk_lease_held", Help: "1 while the lease is this process's.",
		}, byName)),
		epoch: shared(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "souk_lease_epoch", Help: "How often the lease had been taken when this process took it last.",
		}, byName)),
		renewals: shared(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_lease_renewals_total", Help: "Transactions that renewed the leases held in a store.",
		}, []string{"store"})),
		losses: shared(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_lease_losses_total", Help: "Times that a lease was taken away from this process or could not be renewed.",
		}, byName)),
	}
}

// shared registers a collector, or gives the one that another keeper of the process has registered.
func shared[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if r == nil {
		return c
	}
	var twice prometheus.AlreadyRegisteredError
	if err := r.Register(c); errors.As(err, &twice) {
		if known, same := twice.ExistingCollector.(C); same {
			return known
		}
	} else if err != nil {
		panic("lease: " + err.Error()) // a mistake in the names above
	}
	return c
}

// label cuts off what tells processes apart.
func label(name string) string {
	kind, _, _ := strings.Cut(name, "@")
	return kind
}

func (m *metrics) granted(store, name string, epoch int64) {
	m.held.WithLabelValues(store, label(name)).Set(1)
	m.epoch.WithLabelValues(store, label(name)).Set(float64(epoch))
}

func (m *metrics) left(store, name string) { m.held.WithLabelValues(store, label(name)).Set(0) }

func (m *metrics) lost(store, name string) {
	m.left(store, name)
	m.losses.WithLabelValues(store, label(name)).Inc()
}

func (m *metrics) renewed(store string) { m.renewals.WithLabelValues(store).Inc() }
