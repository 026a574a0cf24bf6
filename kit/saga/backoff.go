package saga

import (
	"fmt"
	"time"
)

// Backoff is how long to wait before the next attempt: First, then twice as long each time, at most Max. Half of each
// wait is random, so that runs which failed together do not come back together.
type Backoff struct{ First, Max time.Duration }

// doublingsMax keeps the doubling from running out of bits; BackoffMax is reached long before.
const doublingsMax = 40

// Delay is the wait after so many failed attempts. jitter gives a number in [0, 1), as rand.Float64 does; nil means
// the longest wait.
func (b Backoff) Delay(failed int, jitter func() float64) time.Duration {
	wait := b.First
	for range min(failed-1, doublingsMax) {
		if wait >= b.Max/2 {
			wait = b.Max
			break
		}
		wait *= 2
	}
	wait = min(wait, b.Max)
	if jitter == nil {
		return wait
	}
	return wait/2 + time.Duration(jitter()*float64(wait-wait/2))
}

func (b Backoff) check() error {
	if b.First <= 0 || b.Max < b.First || b.Max > BackoffMax {
		return fmt.Errorf("its backoff is %v to %v, want 0 < first ≤ max ≤ %v", b.First, b.Max, BackoffMax)
	}
	return nil
}
