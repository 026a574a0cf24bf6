package app

import (
	"context"
	"sync"
	"time"

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

// decided waits for an order to be decided; false when that takes too long.
func (a *App) decided(ctx context.Context, orderID string) (ok bool, err error) {
	ch, leave := a.waiters.enter(orderID)
	defer leave()
	if o, err := a.Load(ctx, orderID); err != nil || o.Decided() {
		return err == nil, err
	}
	_, ok = a.waitFor(ctx, orderID, ch)
	return ok, nil
}

// lookEvery is how often a request looks whether another process has decided the order that it waits for.
const lookEvery = 100 * time.Millisecond

// waitFor waits as long as a checkout may, and not so long that the caller's own
// deadline cuts the answer off. An order that another process may decide is looked at meanwhile.
func (a *App) waitFor(ctx context.Context, orderID string, decided <-chan order.Order) (o order.Order, ok bool) {
	wait := a.o.CheckoutWait
	if end, bounded := ctx.Deadline(); bounded {
		wait = min(wait, max(0, time.Until(end)-answerTime))
	}
	timer := a.Clock.NewTimer(wait)
	defer timer.Stop()
	var look <-chan time.Time // never, if all is decided here
	for {
		if a.Store.Shared() {
			look = a.Clock.After(lookEvery)
		}
		select {
		case o = <-decided:
			return o, true
		case <-look:
			if o, err := a.Load(ctx, orderID); err == nil && o.Decided() && o.Status != order.Canceling {
				return o, true
			}
		case <-timer.C():
			return o, false
		case <-ctx.Done():
			return o, false
		}
	}
}
