// Package faultbus makes the delivery of events as bad as a bus may be: twice,
// late, out of order, long after they were handled, and into handlers that
// fail. Every choice follows from a seed, so that a failing run can be repeated.
package faultbus

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// ErrInjected is the failure of handlers that this package makes fail.
var ErrInjected = errors.New("a failure injected by faultbus")

// Options are the chances of each fault, from 0 to 1; the zero value takes the defaults.
type Options struct {
	Seed  uint64  // which run this is
	Twice float64 // an event is delivered again in the same batch; 0: 0.2
	Late  float64 // an event is kept back from a batch; 0: 0.2
	Again float64 // a batch begins before the asked position; 0: 0.2
	Fail  float64 // a handler fails or panics; 0: 0.1
}

// keptBackMax bounds how often one event is kept back, so that it comes in the end.
const keptBackMax = 5

// againMax bounds how many handled events come again with a batch.
const againMax = 20

func (o Options) withDefaults() Options {
	for chance, standard := range map[*float64]float64{&o.Twice: 0.2, &o.Late: 0.2, &o.Again: 0.2, &o.Fail: 0.1} {
		if *chance == 0 {
			*chance = standard
		}
	}
	return o
}

// Wrap delivers what feed delivers, badly. What wraps a DistantFeed is one.
func Wrap(feed bus.Feed, o Options) bus.Feed {
	o = o.withDefaults()
	bad := &faulty{Feed: feed, options: o, random: rand.New(rand.NewPCG(o.Seed, 1)), kept: make(map[int64]int)}
	if far, ok := feed.(bus.DistantFeed); ok {
		return &distant{bad, far}
	}
	return bad
}

// distant is faulty, but for what its source says of its end.
type distant struct {
	*faulty
	far bus.DistantFeed
}

// HeadNow asks the source.
func (d *distant) HeadNow(ctx context.Context) (int64, error) { return d.far.HeadNow(ctx) }

type faulty struct {
	bus.Feed
	options Options
	mu      sync.Mutex
	random  *rand.Rand
	kept    map[int64]int // how often an event was kept back
}

// After delivers a batch shuffled, with some events twice, some again and some not yet.
func (f *faulty) After(ctx context.Context, position int64, limit int) ([]bus.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.chance(f.options.Again) {
		position = max(0, position-f.random.Int64N(againMax))
	}
	events, err := f.Feed.After(ctx, position, limit)
	if err != nil {
		return nil, err
	}
	var delivered []bus.Event
	for _, event := range events {
		if f.kept[event.Position] < keptBackMax && f.chance(f.options.Late) {
			f.kept[event.Position]++
			continue
		}
		delivered = append(delivered, event)
		if f.chance(f.options.Twice) {
			delivered = append(delivered, event)
		}
	}
	f.random.Shuffle(len(delivered), func(i, j int) { delivered[i], delivered[j] = delivered[j], delivered[i] })
	return delivered, nil
}

func (f *faulty) chance(p float64) bool { return f.random.Float64() < p }

// Handlers are the same handlers, which now and then fail: before their effect,
// after it, or with a panic after it.
func Handlers(handlers map[string]bus.Handler, o Options) map[string]bus.Handler {
	o = o.withDefaults()
	faults := &injector{options: o, random: rand.New(rand.NewPCG(o.Seed, 2))}
	wrapped := make(map[string]bus.Handler, len(handlers))
	for typ, handler := range handlers {
		wrapped[typ] = func(tx sqlstore.Tx, event bus.Event) error { return faults.call(handler, tx, event) }
	}
	return wrapped
}

type injector struct {
	options Options
	mu      sync.Mutex
	random  *rand.Rand
}

func (i *injector) call(handler bus.Handler, tx sqlstore.Tx, event bus.Event) error {
	how := i.draw()
	if how == 0 {
		return ErrInjected
	}
	if err := handler(tx, event); err != nil {
		return err
	}
	switch how {
	case 1:
		return ErrInjected
	case 2:
		panic(ErrInjected)
	}
	return nil
}

// draw is 0, 1 or 2 for a fault before, after, or as a panic; -1 for none.
func (i *injector) draw() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.random.Float64() >= i.options.Fail {
		return -1
	}
	return i.random.IntN(3)
}
