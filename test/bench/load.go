package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	warmUp   = 2 * time.Second  // load before anything counts
	grace    = 20 * time.Second // for the last calls of a window to be answered
	windowOf = 10 * time.Second // of the counts that show decay
	pause    = 5 * time.Millisecond
	kindsMax = 100 // kinds of errors told apart
)

// A client does one whole thing after another: a checkout, a read.
type client interface {
	Do(t *tally) error
	close()
}

// tally counts what happens between two moments.
type tally struct {
	from, to time.Time
	whole    *histogram // from the (intended) beginning of a whole thing to its end
	calls    [calls]*histogram
	windows  []atomic.Int64 // whole things by windowOf

	mu     sync.Mutex
	errors map[string]int64
}

func newTally(from time.Time, length time.Duration) *tally {
	t := &tally{
		from: from, to: from.Add(length), whole: newHistogram(), errors: map[string]int64{},
		windows: make([]atomic.Int64, (length+windowOf-1)/windowOf),
	}
	for i := range t.calls {
		t.calls[i] = newHistogram()
	}
	return t
}

func (t *tally) counts(at time.Time) bool { return !at.Before(t.from) && at.Before(t.to) }

// answered keeps the latency of one call that has just been answered.
func (t *tally) answered(kind call, begun time.Time) {
	if now := time.Now(); t.counts(now) {
		t.calls[kind].record(now.Sub(begun))
	}
}

// done keeps a whole thing; errors count always, also outside the window.
func (t *tally) done(begun time.Time, err error) {
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if kind := err.Error(); t.errors[kind] > 0 || len(t.errors) < kindsMax {
			t.errors[kind]++
		} else {
			t.errors["other"]++
		}
		return
	}
	if now := time.Now(); t.counts(now) {
		t.whole.record(now.Sub(begun))
		t.windows[now.Sub(t.from)/windowOf].Add(1)
	}
}

func (t *tally) length() time.Duration { return t.to.Sub(t.from) }

// rate is whole things a second.
func (t *tally) rate() float64 { return float64(t.whole.count()) / t.length().Seconds() }

// byWindow is the rate of each whole window.
func (t *tally) byWindow() (rates []float64) {
	for i := range int(t.length() / windowOf) {
		rates = append(rates, float64(t.windows[i].Load())/windowOf.Seconds())
	}
	return rates
}

// closedLoop lets every client do its thing again and again until the tally's end: the load of so many impatient people.
func closedLoop(ctx context.Context, t *tally, clients []client) {
	each(clients, func(c client) {
		for begun := time.Now(); begun.Before(t.to) && ctx.Err() == nil; begun = time.Now() {
			err := c.Do(t)
			t.done(begun, err)
			if err != nil {
				time.Sleep(pause) // a server that refuses at once is not to be drowned in refusals
			}
		}
	})
}

// openLoop begins things at a constant rate, as strangers come, whether or not those before have been served. What has to
// wait for a free client has waited since its intended beginning, so no slow moment is left out of the latencies.
func openLoop(ctx context.Context, t *tally, clients []client, rate float64) {
	begin := time.Now()
	var next atomic.Int64
	each(clients, func(c client) {
		for ctx.Err() == nil {
			intended := begin.Add(time.Duration(float64(next.Add(1)-1) / rate * float64(time.Second)))
			if !intended.Before(t.to) {
				return
			}
			time.Sleep(time.Until(intended))
			t.done(intended, c.Do(t))
		}
	})
}

// each runs a function for every client at once and closes the clients.
func each(clients []client, do func(client)) {
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			defer c.close()
			do(c)
		})
	}
	all.Wait()
}
