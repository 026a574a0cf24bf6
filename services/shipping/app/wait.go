package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

const (
	waitersMax = 4096                  // dispatches under way at once
	answerTime = 50 * time.Millisecond // what is left of a caller's deadline to answer in
)

// waiters are the dispatches under way, which a shipment that opens wakes.
type waiters struct {
	mu    sync.Mutex
	on    map[string][]chan struct{}
	count int
}

// enter begins to listen for the opening of an order's shipment; leave must be called.
func (w *waiters) enter(order string) (opened <-chan struct{}, leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= waitersMax {
		return nil, nil, problem.New(problem.Unavailable, "too_many_dispatches",
			"Too many dispatches are under way; try again in a moment.").After(time.Second)
	}
	if w.on == nil {
		w.on = make(map[string][]chan struct{})
	}
	ch := make(chan struct{}, 1)
	w.on[order] = append(w.on[order], ch)
	w.count++
	return ch, func() { w.leave(order, ch) }, nil
}

func (w *waiters) leave(order string, ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count--
	rest := slices.DeleteFunc(w.on[order], func(c chan struct{}) bool { return c == ch })
	if len(rest) == 0 {
		delete(w.on, order)
		return
	}
	w.on[order] = rest
}

// wake tells all who wait for this order's shipment.
func (w *waiters) wake(order string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.on[order] {
		select {
		case ch <- struct{}{}:
		default: // told already
		}
	}
}

// awaitOpening waits for the confirmation of an order that staff knows to be confirmed, while its event is on its way
// here. It ends when the shipment opens, when every confirmation up to now has arrived (then there is none of this
// order), and at the latest after OpenWait or shortly before the caller's own deadline.
func (a *Shipping) awaitOpening(ctx context.Context, opened <-chan struct{}) error {
	wait := a.options.OpenWait
	if end, bounded := ctx.Deadline(); bounded {
		wait = min(wait, max(0, time.Until(end)-answerTime))
	}
	timer := a.Clock.NewTimer(wait)
	defer timer.Stop()
	caughtUp, stop := a.catchUp(ctx)
	defer stop()
	select {
	case <-opened:
	case err := <-caughtUp:
		return err
	case <-timer.C():
	case <-ctx.Done():
	}
	return nil
}

// catchUp asks beside, and tells when the answer is there; stop ends the asking.
func (a *Shipping) catchUp(ctx context.Context) (done <-chan error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan error, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		err := a.CaughtUp(ctx)
		if ctx.Err() == nil {
			told <- err
		}
	})
	return told, func() { cancel(); asking.Wait() }
}
