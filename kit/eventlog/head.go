package eventlog

import (
	"context"
	"sync"
	"sync/atomic"
)

// head is the last durable position and those who wait for it to move.
type head struct {
	position atomic.Int64
	mu       sync.Mutex
	moved    chan struct{} // closed at the next move; nil while nobody waits
}

func (h *head) now() int64 { return h.position.Load() }

// advance never goes back.
func (h *head) advance(to int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if to <= h.position.Load() {
		return
	}
	h.position.Store(to)
	if h.moved != nil {
		close(h.moved)
		h.moved = nil
	}
}

func (h *head) wait(ctx context.Context, after int64) error {
	for {
		moved := h.next(after)
		if moved == nil {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next is closed at the next move; nil when the head is beyond after already.
func (h *head) next(after int64) <-chan struct{} {
	if h.now() > after {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now() > after {
		return nil
	}
	if h.moved == nil {
		h.moved = make(chan struct{})
	}
	return h.moved
}
