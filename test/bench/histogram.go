package main

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of a latency: a microsecond to a minute, three digits kept.
const (
	latencyMax    = time.Minute
	latencyDigits = 3
)

// histogram gathers latencies of many clients. One with a lock instead of one a client: its busy part stays in the
// processor's cache, which the server shares.
type histogram struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newHistogram() *histogram {
	return &histogram{h: hdrhistogram.New(1, latencyMax.Microseconds(), latencyDigits)}
}

// record keeps one latency; beyond the bound it counts as the bound.
func (h *histogram) record(d time.Duration) {
	us := min(max(d.Microseconds(), 1), latencyMax.Microseconds())
	h.mu.Lock()
	_ = h.h.RecordValue(us) // cannot fail: it lies within the bounds
	h.mu.Unlock()
}

// merge takes over what another one has, which nobody writes any more.
func (h *histogram) merge(other *histogram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.h.Merge(other.h)
}

func (h *histogram) count() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.h.TotalCount()
}

// quantile in milliseconds, q from 0 to 100.
func (h *histogram) quantile(q float64) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return float64(h.h.ValueAtQuantile(q)) / 1000
}

// mean in milliseconds.
func (h *histogram) mean() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.h.Mean() / 1000
}

// latency sums up; false when nothing was recorded.
func (h *histogram) latency() (latency, bool) {
	return latency{
		Count: h.count(), P50: h.quantile(50), P90: h.quantile(90), P99: h.quantile(99), Max: h.quantile(100),
	}, h.count() > 0
}
