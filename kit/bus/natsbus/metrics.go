package natsbus

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// collector measures relays and feeds when it is asked. The label is the
// source's name, bounded by the rooms.
type collector struct{ broker *Broker }

var reconnects = prometheus.NewDesc("souk_bus_broker_reconnects_total", "How often the broker was away and came back.", nil, nil)

var connected = prometheus.NewDesc("souk_bus_broker_connected", "1 while the broker is there.", nil, nil)

// relayFigures are what is told of each relay.
var relayFigures = [...]struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*relay) float64
}{
	{
		describe("relay_lag_events", "Records of the log that are not in the stream yet."), prometheus.GaugeValue,
		(*relay).lag,
	},
	{
		describe("relay_published_total", "Records that the stream took from this process."), prometheus.CounterValue,
		func(r *relay) float64 { return float64(r.published.Load()) },
	},
	{
		describe("relay_mismatches_total", "Times that the stream did not end where this relay left it."), prometheus.CounterValue,
		func(r *relay) float64 { return float64(r.mismatches.Load()) },
	},
	{
		describe("relay_replaced_total", "Streams that did not agree with their log and were made anew."), prometheus.CounterValue,
		func(r *relay) float64 { return float64(r.replaced.Load()) },
	},
}

// feedFigures are what is told of each feed.
var feedFigures = [...]struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*feed) float64
}{
	{
		describe("feed_head", "The highest position heard of."), prometheus.GaugeValue,
		func(f *feed) float64 { return float64(f.head.Position()) },
	},
	{describe("feed_silent_seconds", "Time since the source's last sign of life, 0 before the first."), prometheus.GaugeValue, (*feed).silent},
	{
		describe("feed_live_total", "Events that came as they were said."), prometheus.CounterValue,
		func(f *feed) float64 { return float64(f.fromLive.Load()) },
	},
	{
		describe("feed_stored_total", "Events that were read from the stream."), prometheus.CounterValue,
		func(f *feed) float64 { return float64(f.fromStream.Load()) },
	},
	{
		describe("feed_asked_total", "Events that were asked of the source's own process."), prometheus.CounterValue,
		func(f *feed) float64 { return float64(f.fromOwner.Load()) },
	},
}

// lag is what this process has to relay; nothing while another one does.
func (r *relay) lag() float64 {
	if !r.active.Load() {
		return 0
	}
	return float64(max(0, r.feed.Head()-r.copied.Position()))
}

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("souk_bus_"+name, help, []string{"source"}, nil)
}

// silent is how long the source has not been heard of.
func (f *feed) silent() float64 {
	heard := f.heard.Load()
	if heard == 0 {
		return 0
	}
	return float64(f.broker.options.Clock.Now().UnixMicro()-heard) / 1e6
}

// Describe tells Prometheus what there will be.
func (collector) Describe(out chan<- *prometheus.Desc) {
	out <- reconnects
	out <- connected
	for i := range relayFigures {
		out <- relayFigures[i].desc
	}
	for i := range feedFigures {
		out <- feedFigures[i].desc
	}
}

// Collect measures every relay and feed.
func (c collector) Collect(out chan<- prometheus.Metric) {
	b := c.broker
	b.mu.Lock()
	relays, feeds := slices.Collect(maps.Values(b.relays)), slices.Collect(maps.Values(b.feeds))
	b.mu.Unlock()
	up := 0.0
	if b.conn.IsConnected() {
		up = 1
	}
	out <- prometheus.MustNewConstMetric(reconnects, prometheus.CounterValue, float64(b.conn.Stats().Reconnects))
	out <- prometheus.MustNewConstMetric(connected, prometheus.GaugeValue, up)
	for _, r := range relays {
		for i := range relayFigures {
			out <- prometheus.MustNewConstMetric(relayFigures[i].desc, relayFigures[i].kind, relayFigures[i].value(r), r.source)
		}
	}
	for _, f := range feeds {
		for i := range feedFigures {
			out <- prometheus.MustNewConstMetric(feedFigures[i].desc, feedFigures[i].kind, feedFigures[i].value(f), f.source)
		}
	}
}
