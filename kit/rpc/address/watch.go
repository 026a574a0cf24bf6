package address

import (
	"context"
	"net"
	"sync"
	"time"
)

// Bounds of watching a target.
const (
	PeriodDefault = 10 * time.Second // between two looks when nothing is wrong
	PauseDefault  = time.Second      // at least so long between two looks when something is
	lookupMax     = 5 * time.Second  // for one look
)

// Options of Watch; the zero value works.
type Options struct {
	DNS    *net.Resolver // default net.DefaultResolver
	Period time.Duration // default PeriodDefault
	Pause  time.Duration // default PauseDefault
}

// Watcher keeps looking where a target is until it is closed.
type Watcher struct {
	target  Target
	o       Options
	changed func([]Endpoint, error)
	again   chan struct{}
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Watch tells where a target is, first at once, then after every look: its endpoints, possibly none, or why they are
// not known, in which case those told before are the best guess. changed is never called by two goroutines at once and not after
// Close.
func Watch(t Target, o Options, changed func([]Endpoint, error)) *Watcher {
	if o.DNS == nil {
		o.DNS = net.DefaultResolver
	}
	if o.Period <= 0 {
		o.Period = PeriodDefault
	}
	if o.Pause <= 0 {
		o.Pause = PauseDefault
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Watcher{target: t, o: o, changed: changed, again: make(chan struct{}, 1), stop: stop}
	if t.Static() {
		changed(t.listed, nil)
		return w
	}
	w.done.Go(func() { w.run(ctx) })
	return w
}

// Again asks for a look soon: an endpoint was found dead.
func (w *Watcher) Again() {
	select {
	case w.again <- struct{}{}:
	default: // one is asked for already
	}
}

// Close ends the watching and waits until it has.
func (w *Watcher) Close() {
	w.stop()
	w.done.Wait()
}

func (w *Watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		found, err := w.look(ctx)
		if ctx.Err() != nil {
			return
		}
		w.changed(found, err)
		if err != nil {
			w.Again()
		}
		w.wait(ctx)
	}
}

func (w *Watcher) look(ctx context.Context) ([]Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupMax)
	defer cancel()
	return w.target.Resolve(ctx, w.o.DNS)
}

// wait returns after the period, or sooner when asked, but not before the pause is over.
func (w *Watcher) wait(ctx context.Context) {
	pause := time.NewTimer(w.o.Pause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
		return
	}
	rest := time.NewTimer(w.o.Period - w.o.Pause)
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-w.again:
	case <-ctx.Done():
	}
}
