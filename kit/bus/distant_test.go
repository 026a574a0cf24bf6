package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

type record = bustest.Source

// faraway is a source of another process: silent until it answers, and heard of
// only up to a position.
type faraway struct {
	*record
	answers atomic.Bool
	heard   atomic.Int64
}

var errSilent = errors.New("nobody is there")

func (f *faraway) Head() int64 { return f.heard.Load() }

func (f *faraway) Wait(ctx context.Context, after int64) error {
	for f.heard.Load() <= after {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (f *faraway) HeadNow(context.Context) (int64, error) {
	if !f.answers.Load() {
		return 0, errSilent
	}
	head := f.record.Head()
	f.heard.Store(head)
	return head, nil
}

func remote(f *faraway) func(string) bus.Feed {
	return func(source string) bus.Feed {
		if source == f.Source() {
			return f
		}
		return nil
	}
}

func TestASilentSourceHoldsNobodyUp(t *testing.T) {
	source := &faraway{record: bustest.NewSource("talker")}
	source.Say("a")
	for _, from := range []bus.Start{bus.FromStart, bus.FromNow} {
		source.answers.Store(false)
		b := bus.New(bus.Options{Remote: remote(source), Through: func(f bus.Feed) bus.Feed {
			return faultbus.Wrap(f, faultbus.Options{Seed: 1})
		}})
		consumer := listener(openStore(t), func(sqlstore.Tx, bus.Event) error { return nil })
		consumer.From, consumer.Attempts = from, 20
		if err := b.Subscribe(consumer); err != nil {
			t.Fatal(err)
		}
		if err := b.Attach(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, b)
		if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "consumer listener of talker") {
			t.Errorf("while the source is silent: %v", err)
		}
		if err := b.CaughtUp(t.Context(), "listener"); !errors.Is(err, errSilent) {
			t.Errorf("caught up with a silent source: %v", err)
		}
		if done, err := b.Redrive(t.Context(), "listener", bus.By{Actor: "staff:1"}); err != nil || done.Handled != 0 {
			t.Errorf("redriven %+v, %v", done, err)
		}
		source.answers.Store(true)
		wait(t, b, "listener", source.Say("a"))
		if err := b.Ready(); err != nil {
			t.Errorf("once the source has answered: %v", err)
		}
	}
}

// Operators need no source: what they ask for is in the consumer's store.
func TestLettersAreRedrivenWhileTheSourceIsSilent(t *testing.T) {
	source, store := &faraway{record: bustest.NewSource("talker")}, openStore(t)
	source.answers.Store(true)
	var broken atomic.Bool
	broken.Store(true)
	consumer := listener(store, func(sqlstore.Tx, bus.Event) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	})
	consumer.From = bus.FromNow
	start := func() *bus.Bus {
		b := bus.New(bus.Options{Remote: remote(source)})
		if err := errors.Join(b.Subscribe(consumer), b.Attach(t.Context())); err != nil {
			t.Fatal(err)
		}
		run(t, b)
		return b
	}
	b := start()
	for b.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	source.heard.Store(source.Say("a"))
	wait(t, b, "listener", 1)
	b.Close()
	source.answers.Store(false)
	b = start()
	if standings, err := b.Standings(t.Context(), "listener"); err != nil || standings[0].Position != 1 || standings[0].Letters != 1 {
		t.Errorf("standings %+v, %v; want 1 letter at 1", standings, err)
	}
	broken.Store(false)
	if done, err := b.Redrive(t.Context(), "listener", bus.By{Actor: "staff:1"}); err != nil || done.Handled != 1 {
		t.Errorf("redriven %+v, %v", done, err)
	}
}

func TestCaughtUpAsksTheSource(t *testing.T) {
	source := &faraway{record: bustest.NewSource("talker")}
	source.answers.Store(true)
	b := bus.New(bus.Options{Remote: remote(source)})
	if err := b.Subscribe(listener(openStore(t), func(sqlstore.Tx, bus.Event) error { return nil })); err != nil {
		t.Fatal(err)
	}
	run(t, b)
	for range 10 {
		position := source.Say("a") // nobody has heard of it
		if err := b.CaughtUp(t.Context(), "listener"); err != nil {
			t.Fatal(err)
		}
		if at, _ := b.Position("listener"); at < position {
			t.Errorf("caught up at %d of %d", at, position)
		}
	}
}

func TestASourceNobodyKnowsIsRefused(t *testing.T) {
	b := bus.New(bus.Options{Remote: remote(&faraway{record: bustest.NewSource("other")})})
	if err := b.Subscribe(listener(openStore(t), nil)); err != nil {
		t.Fatal(err)
	}
	if err := b.Attach(t.Context()); err == nil || !strings.Contains(err.Error(), `nobody publishes "talker"`) {
		t.Errorf("attached to nobody: %v", err)
	}
}

func TestEveryPublishedFeedIsRelayedAsItIs(t *testing.T) {
	var relayed []bus.Feed
	b := bus.New(bus.Options{
		Relay:   func(f bus.Feed) { relayed = append(relayed, f) },
		Through: func(f bus.Feed) bus.Feed { return faultbus.Wrap(f, faultbus.Options{Seed: 1}) },
	})
	source := bustest.NewSource("talker")
	b.Publish(source)
	if len(relayed) != 1 || relayed[0] != bus.Feed(source) {
		t.Errorf("relayed %v", relayed)
	}
}
