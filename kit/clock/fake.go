package clock

import (
	"sync"
	"time"
)

// Fake is a clock that stands still until a test moves it. It is safe for concurrency.
type Fake struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*fakeTimer]struct{} // those still waiting
}

// NewFake is a clock that stands at t.
func NewFake(t time.Time) *Fake {
	return &Fake{now: t.UTC(), timers: map[*fakeTimer]struct{}{}}
}

// Now is the moment at which the test has put the clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// After delivers the time once the clock has been moved by d or more.
func (f *Fake) After(d time.Duration) <-chan time.Time { return f.NewTimer(d).C() }

// NewTimer is a wait that ends when the clock has been moved by d or more.
func (f *Fake) NewTimer(d time.Duration) Timer {
	t := &fakeTimer{clock: f, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// Advance moves the clock by d and ends every wait that is over by then.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.move(f.now.Add(d))
}

// Set puts the clock at t and ends every wait that is over by then. A clock set back ends none.
func (f *Fake) Set(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.move(t.UTC())
}

func (f *Fake) move(to time.Time) {
	f.now = to
	for t := range f.timers {
		t.fireIfOver()
	}
}

// fakeTimer is guarded by its clock's mutex.
type fakeTimer struct {
	clock *Fake
	at    time.Time
	c     chan time.Time
}

func (t *fakeTimer) C() <-chan time.Time { return t.c }

func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stop()
}

func (t *fakeTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	waiting := t.stop()
	t.at = t.clock.now.Add(d)
	t.clock.timers[t] = struct{}{}
	t.fireIfOver()
	return waiting
}

// stop also drops a time that nobody has received, as time.Timer does.
func (t *fakeTimer) stop() bool {
	_, waiting := t.clock.timers[t]
	delete(t.clock.timers, t)
	select {
	case <-t.c:
	default:
	}
	return waiting
}

func (t *fakeTimer) fireIfOver() {
	if t.at.After(t.clock.now) {
		return
	}
	delete(t.clock.timers, t)
	t.c <- t.clock.now
}
