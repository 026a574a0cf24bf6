package app

import (
	"context"
	"sync"

	"github.com/seed-21071466/souk/services/payments/intent"
)

// flights lets one call work on an intent and all who ask for the same
// meanwhile share its result. The intent's row keeps other processes out; this
// only saves the second call within one.
type flights struct {
	mu    sync.Mutex
	under map[string]*flight
}

type flight struct {
	landed chan struct{}
	intent intent.Intent
	err    error
}

// do runs work unless it is under way for that key. The work does not end with
// its first caller's context: others wait for it, and so does the provider.
func (f *flights) do(ctx context.Context, key string, work func() (intent.Intent, error)) (intent.Intent, error) {
	f.mu.Lock()
	if other, flying := f.under[key]; flying {
		f.mu.Unlock()
		return other.wait(ctx)
	}
	if f.under == nil {
		f.under = map[string]*flight{}
	}
	mine := &flight{landed: make(chan struct{}), err: context.Canceled} // err stands if work panics
	f.under[key] = mine
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.under, key)
		f.mu.Unlock()
		close(mine.landed)
	}()
	mine.intent, mine.err = work()
	return mine.intent, mine.err
}

func (f *flight) wait(ctx context.Context) (intent.Intent, error) {
	select {
	case <-f.landed:
		return f.intent, f.err
	case <-ctx.Done():
		return intent.Intent{}, ctx.Err()
	}
}
