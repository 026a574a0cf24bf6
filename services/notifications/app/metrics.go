package app

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// countWaitMax bounds how long a scrape waits for the store.
const countWaitMax = time.Second

// The kinds of what is pending.
const (
	kindMail    = "mail"
	kindWebhook = "webhook"
)

// metrics of the room.
type metrics struct {
	n          *Notifications
	pending    *prometheus.Desc
	mails      *prometheus.CounterVec
	deliveries *prometheus.CounterVec
}

func newMetrics(n *Notifications) *metrics {
	return &metrics{
		n: n,
		pending: prometheus.NewDesc("souk_notifications_pending", "Mails and webhook deliveries that are still to be brought away.",
			[]string{"kind"}, nil),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_notifications_mails_total", Help: "Mails sent, skipped for want of an address, missed (to be tried again) and failed.",
		}, []string{"outcome"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_notifications_deliveries_total", Help: "Webhook deliveries taken, missed (to be tried again) and failed.",
		}, []string{"outcome"}),
	}
}

func (m *metrics) register() error {
	if m.n.Registerer == nil {
		return nil
	}
	for _, c := range m.all() {
		if err := m.n.Registerer.Register(c); err != nil {
			return fmt.Errorf("register metrics of notifications: %w", err)
		}
	}
	return nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{stillPending{m}, m.mails, m.deliveries}
}

// unregister lets the store be closed: a scrape no longer asks it.
func (m *metrics) unregister() {
	if m.n.Registerer == nil {
		return
	}
	for _, c := range m.all() {
		m.n.Registerer.Unregister(c)
	}
}

// outcomeMissed is the outcome of what is tried again.
const outcomeMissed = "missed"

// mailed counts what became of mails.
func (m *metrics) mailed(was, is []notice.Mail) {
	for i := range is {
		switch {
		case is[i].State != notice.Pending:
			m.mails.WithLabelValues(string(is[i].State)).Inc()
		case !is[i].DueAt.Equal(was[i].DueAt):
			m.mails.WithLabelValues(outcomeMissed).Inc()
		}
	}
}

// told counts what became of deliveries.
func (m *metrics) told(was, is []endpoint.Delivery) {
	for i := range is {
		switch {
		case is[i].State != endpoint.Pending:
			m.deliveries.WithLabelValues(string(is[i].State)).Inc()
		case !is[i].DueAt.Equal(was[i].DueAt):
			m.deliveries.WithLabelValues(outcomeMissed).Inc()
		}
	}
}

// stillPending counts the pending rows at each scrape.
type stillPending struct{ *metrics }

// Describe names the gauge.
func (p stillPending) Describe(to chan<- *prometheus.Desc) { to <- p.pending }

// Collect counts; a store that cannot be read is a scrape that says so.
func (p stillPending) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countWaitMax)
	defer cancel()
	var mails, hooks int
	err := p.n.view(ctx, func(r rows) error {
		return r.QueryRow(`SELECT (SELECT COUNT(*) FROM mails WHERE shop = ? AND state = 'pending'),
			(SELECT COUNT(*) FROM deliveries WHERE shop = ? AND state = 'pending')`, r.shop, r.shop).Scan(&mails, &hooks)
	})
	if err != nil {
		to <- prometheus.NewInvalidMetric(p.pending, fmt.Errorf("count what notifications still has to do: %w", err))
		return
	}
	to <- prometheus.MustNewConstMetric(p.pending, prometheus.GaugeValue, float64(mails), kindMail)
	to <- prometheus.MustNewConstMetric(p.pending, prometheus.GaugeValue, float64(hooks), kindWebhook)
}
