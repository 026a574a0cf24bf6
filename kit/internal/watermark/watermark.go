// Package watermark is a position that only grows and that others may wait for:
// how far a consumer or a projection has come.
package watermark

import (
	"context"
	"sync"
	"sync/atomic"
)

// Mark is a growing position. The zero value stands at 0. It is safe for
// concurrency; reading it costs one atomic load.
type Mark struct {
	position atomic.Int64
	mu       sync.Mutex
	grown    chan struct{} // closed and forgotten at each growth; nil while nobody waits
}

// Position is how far the mark has come.
func (m *Mark) Position() int64 { return m.position.Load() }

// Set moves the mark and wakes whoever waits for it to come so far.
func (m *Mark) Set(position int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.position.Store(position)
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
}

// Wait returns once the mark has come to position, or with the context's error.
func (m *Mark) Wait(ctx context.Context, position int64) error {
	for m.position.Load() < position {
		select {
		case <-m.next(position):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// next is closed at the next growth, or already if it came meanwhile.
func (m *Mark) next(position int64) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.grown == nil {
		m.grown = make(chan struct{})
	}
	if m.position.Load() < position {
		return m.grown
	}
	reached := m.grown
	close(reached)
	m.grown = nil
	return reached
}
