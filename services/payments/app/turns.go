package app

import (
	"context"
	"sync"
)

// turns lets one call at a time move the money of an order: a capture, a refund
// or a void. The operation's row keeps other processes out; a turn keeps the
// provider from being asked twice at once by this one.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

// turn is one order's; free has one token while nobody has it.
type turn struct {
	free chan struct{}
	want int // those who have it or wait for it
}

// take waits for the order's turn, or for ctx to end; done gives it back.
func (t *turns) take(ctx context.Context, order string) (done func(), err error) {
	one := t.queue(order)
	select {
	case <-one.free:
		return func() {
			one.free <- struct{}{}
			t.leave(order, one)
		}, nil
	case <-ctx.Done():
		t.leave(order, one)
		return nil, ctx.Err()
	}
}

func (t *turns) queue(order string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.taken[order]
	if one == nil {
		if t.taken == nil {
			t.taken = map[string]*turn{}
		}
		one = &turn{free: make(chan struct{}, 1)}
		one.free <- struct{}{}
		t.taken[order] = one
	}
	one.want++
	return one
}

func (t *turns) leave(order string, one *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.want--; one.want == 0 {
		delete(t.taken, order)
	}
}
