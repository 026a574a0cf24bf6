package bus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collector measures the consumers when it is asked, so that delivery itself
// only counts. The label is the consumer's name, bounded by the program.
type collector struct{ bus *Bus }

// figures are what is told of each consumer.
var figures = [...]struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*reading) float64
}{
	{
		describe("lag_events", "Records of the source that are not settled."), prometheus.GaugeValue,
		func(r *reading) float64 { return float64(r.behind) },
	},
	{describe("lag_seconds", "Age of the oldest record that is not settled."), prometheus.GaugeValue, (*reading).age},
	{
		describe("letters", "Dead letters, and those that wait behind them."), prometheus.GaugeValue,
		func(r *reading) float64 { return float64(r.held.Load()) },
	},
	{
		describe("handled_total", "Events whose effect is done."), prometheus.CounterValue,
		func(r *reading) float64 { return float64(r.handled.Load()) },
	},
	{
		describe("retried_total", "Deliveries that failed and were tried again."), prometheus.CounterValue,
		func(r *reading) float64 { return float64(r.retried.Load()) },
	},
	{
		describe("buried_total", "Events that failed for good."), prometheus.CounterValue,
		func(r *reading) float64 { return float64(r.buried.Load()) },
	},
}

// reading is one look at a consumer.
type reading struct {
	*follower
	behind int64 // records not settled
}

func (b *Bus) read(f *follower) reading {
	return reading{f, max(0, b.head(f.Source)-f.mark.Position())}
}

// Lag is the age of the oldest record that a consumer has not settled, 0 when
// it has settled all there is.
func (b *Bus) Lag(consumer string) time.Duration {
	f := b.find(consumer)
	if f == nil {
		return 0
	}
	r := b.read(f)
	return r.lag()
}

func (r *reading) lag() time.Duration {
	since := r.waiting.Load()
	if since == 0 || r.behind == 0 {
		return 0
	}
	return r.options.Clock.Now().Sub(time.UnixMicro(since))
}

func (r *reading) age() float64 { return r.lag().Seconds() }

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("souk_bus_"+name, help, []string{"consumer"}, nil)
}

// Describe tells Prometheus what there will be.
func (collector) Describe(out chan<- *prometheus.Desc) {
	for i := range figures {
		out <- figures[i].desc
	}
}

// Collect measures every consumer.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, f := range c.bus.consumers() {
		r := c.bus.read(f)
		for i := range figures {
			figure := &figures[i]
			out <- prometheus.MustNewConstMetric(figure.desc, figure.kind, figure.value(&r), f.Name)
		}
	}
}
