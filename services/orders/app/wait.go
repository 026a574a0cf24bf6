package app

import (
	"context"
	"sync"

	"github.com/seed-21071466/souk/services/orders/order"
)

// waiters are the requests that wait for orders to be decided.
type waiters struct {
	mu sync.Mutex
	on map[string][]chan order.Order
}

// enter begins to wait; leave must be called.
func (w *waiters) enter(orderID string) (decided <-chan order.Order, leave func()) {
	ch := make(chan order.Order, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on == nil {
		w.on = make(map[string][]chan order.Order)
	}
	w.on[orderID] = append(w.on[orderID], ch)
	return ch, func() { w.leave(orderID, ch) }
}

func (w *waiters) leave(orderID string, ch chan order.Order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.on[orderID][:0]
	for _, c := range w.on[orderID] {
		if c != ch {
			rest = append(rest, c)
		}
	}
	if len(rest) == 0 {
		delete(w.on, orderID)
		return
	}
	w.on[orderID] = rest
}

// wake tells all who wait for this order.
func (w *waiters) wake(o order.Order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.on[o.ID] {
		select {
		case ch <- o:
		default: // told already
		}
	}
}

// decided waits until the order is decided or the context ends.
func (a *App) decided(ctx context.Context, orderID string) (o order.Order, ok bool, err error) {
	ch, leave := a.waiters.enter(orderID)
	defer leave()
	if o, err = a.Load(ctx, orderID); err != nil || o.Decided() {
		return o, err == nil, err
	}
	select {
	case o = <-ch:
		return o, true, nil
	case <-ctx.Done():
		return o, false, nil
	}
}
