// Package clock makes time a port: production code asks a Clock, so that a test decides what hour it is.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and wakes whoever waits for it. Times are UTC.
type Clock interface {
	// Now is the present moment in UTC.
	Now() time.Time
	// After delivers the time on the channel once d has passed. Use NewTimer where the wait may be given up.
	After(d time.Duration) <-chan time.Time
	// NewTimer is a wait that can be stopped and set again.
	NewTimer(d time.Duration) Timer
}

// Timer is one wait. C delivers the time when the wait is over.
type Timer interface {
	// C is the channel on which the time arrives; its buffer holds one.
	C() <-chan time.Time
	// Stop ends the wait and reports whether it was still going on.
	Stop() bool
	// Reset begins a new wait of d, dropping a time not yet received, and reports whether the old one was still going on.
	Reset(d time.Duration) bool
}

// System is the machine's own clock.
type System struct{}

// Now is the machine's time in UTC.
func (System) Now() time.Time { return time.Now().UTC() }

// After is time.After.
func (System) After(d time.Duration) <-chan time.Time { return time.After(d) }

// NewTimer is time.NewTimer.
func (System) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ timer *time.Timer }

func (t systemTimer) C() <-chan time.Time        { return t.timer.C }
func (t systemTimer) Stop() bool                 { return t.timer.Stop() }
func (t systemTimer) Reset(d time.Duration) bool { return t.timer.Reset(d) }

// Sleep waits d of the machine's time, or less: when ctx ends it returns at once, with the context's error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
