package rpc

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/connectivity"

	"github.com/seed-21071466/souk/kit/problem"
)

// remoteMetrics are the calls that leave this process, as their callers see them.
type remoteMetrics struct {
	calls    *prometheus.CounterVec
	took     *prometheus.HistogramVec
	retries  *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	conns    *prometheus.GaugeVec
}

func newRemoteMetrics(r prometheus.Registerer) *remoteMetrics {
	m := &remoteMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_rpc_remote_calls_total",
			Help: "Calls made over the network, by the room called, method and gRPC code.",
		}, []string{"room", "method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "souk_rpc_remote_duration_seconds",
			Help:    "Time that a call over the network took its caller, retries and all.",
			Buckets: durations,
		}, []string{"room", "method"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "souk_rpc_remote_retries_total",
			Help: "Times that a call over the network was tried again.",
		}, []string{"room", "method"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "souk_rpc_remote_in_flight",
			Help: "Calls over the network that are not answered yet.",
		}, []string{"room"}),
		conns: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "souk_rpc_connections",
			Help: "Connections to the processes of a room, by state.",
		}, []string{"room", "state"}),
	}
	if r != nil {
		m.calls, m.took, m.retries = registered(r, m.calls), registered(r, m.took), registered(r, m.retries)
		m.inFlight, m.conns = registered(r, m.inFlight), registered(r, m.conns)
	}
	return m
}

// remoteRoom are the metrics of one room that is elsewhere.
type remoteRoom struct {
	*remoteMetrics
	room     string
	inFlight prometheus.Gauge

	mu     sync.Mutex
	states map[connectivity.State]int
}

func (m *metrics) remote(room string) *remoteRoom {
	return &remoteRoom{remoteMetrics: m.away, room: room, inFlight: m.away.inFlight.WithLabelValues(room), states: map[connectivity.State]int{}}
}

// remoteObserved are the metrics of one method of it.
type remoteObserved struct {
	*observed
	retries prometheus.Counter
}

func (r *remoteRoom) of(method string) *remoteObserved {
	return &remoteObserved{observe(r.calls, r.took, r.room, method), r.retries.WithLabelValues(r.room, method)}
}

func (r *remoteRoom) began() { r.inFlight.Inc() }

func (r *remoteRoom) ended(o *remoteObserved, began time.Time, refused *problem.Error) {
	r.inFlight.Dec()
	o.took.Observe(time.Since(began).Seconds())
	if refused == nil {
		o.ok.Inc()
		return
	}
	o.failed(codeOf(refused)).Inc()
}

func (r *remoteRoom) retried(o *remoteObserved) { o.retries.Inc() }

// moved counts a connection under its new state; one that is shut down is gone.
func (r *remoteRoom) moved(from, to connectivity.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if from != connectivity.Shutdown {
		r.count(from, -1)
	}
	if to != connectivity.Shutdown {
		r.count(to, 1)
	}
}

func (r *remoteRoom) count(s connectivity.State, by int) {
	r.states[s] += by
	r.conns.WithLabelValues(r.room, strings.ToLower(s.String())).Set(float64(r.states[s]))
}

// left says that there are no connections any more.
func (r *remoteRoom) left() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s, n := range r.states {
		r.count(s, -n)
	}
}
