package replay

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of a latency: a microsecond to five minutes, three digits kept.
const (
	latencyMax    = 5 * time.Minute
	latencyDigits = 3
)

// meters keep the latencies of this run by what was asked, retries and waits included.
type meters struct{ order, dispatch, back meter }

// meter gathers latencies. The zero value works.
type meter struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func (m *meter) record(d time.Duration) {
	us := min(max(d.Microseconds(), 1), latencyMax.Microseconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h == nil {
		m.h = hdrhistogram.New(1, latencyMax.Microseconds(), latencyDigits)
	}
	_ = m.h.RecordValue(us) // cannot fail: it lies within the bounds
}

// Latency sums up how long calls took, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (m *meter) latency() Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h == nil {
		return Latency{}
	}
	at := func(q float64) float64 { return float64(m.h.ValueAtQuantile(q)) / 1000 }
	return Latency{Count: m.h.TotalCount(), P50: at(50), P99: at(99), Max: at(100)}
}
