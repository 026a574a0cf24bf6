package bus_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// batches notes what a BatchHandler was given.
type batches struct {
	mu     sync.Mutex
	given  [][]int64
	poison string // the subject that it refuses
}

func (n *batches) handle(_ sqlstore.Tx, events []bus.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var positions []int64
	for _, event := range events {
		if event.Subject == n.poison {
			return errors.New("poisoned")
		}
		positions = append(positions, event.Position)
	}
	n.given = append(n.given, positions)
	return nil
}

func gatherer(t *testing.T, n *batches, gather time.Duration) bus.Consumer {
	c := listener(openStore(t), nil)
	c.Handle, c.HandleAll, c.Gather = nil, map[string]bus.BatchHandler{bustest.Type: n.handle}, gather
	return c
}

func TestEventsOfOneTypeAreHandledTogether(t *testing.T) {
	var n batches
	b, source := bus.New(bus.Options{}), bustest.NewSource("talker")
	b.Publish(source)
	if err := b.Subscribe(gatherer(t, &n, 0)); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		source.Say(fmt.Sprint("subject-", i%3))
		source.Record("other", "") // says nothing in public and parts nobody
	}
	run(t, b)
	wait(t, b, "listener", 20)
	if len(n.given) != 1 || !slices.Equal(n.given[0], []int64{1, 3, 5, 7, 9, 11, 13, 15, 17, 19}) {
		t.Errorf("given %v, want all in one batch", n.given)
	}
}

func TestOnePoisonedEventTakesNoOtherOfItsBatchDown(t *testing.T) {
	n := batches{poison: "bad"}
	b, source := bus.New(bus.Options{}), bustest.NewSource("talker")
	b.Publish(source)
	if err := b.Subscribe(gatherer(t, &n, 0)); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"a", "bad", "b", "bad", "c"} {
		source.Say(subject)
	}
	run(t, b)
	wait(t, b, "listener", 5)
	if given := slices.Sorted(slices.Values(slices.Concat(n.given...))); !slices.Equal(given, []int64{1, 3, 5}) {
		t.Errorf("given %v", n.given)
	}
	letters, err := b.List(t.Context(), "listener", 0, 10)
	if err != nil || len(letters) != 2 {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	n.mu.Lock()
	n.poison = ""
	n.mu.Unlock()
	done, err := b.Redrive(t.Context(), "listener", bus.By{Actor: "staff:1"})
	if err != nil || done.Handled != 2 {
		t.Errorf("redriven %+v, %v", done, err)
	}
}

func TestAGatheringConsumerTakesTheFirstAtOnceAndTheRestTogether(t *testing.T) {
	const gather = 300 * time.Millisecond
	var n batches
	b, source := bus.New(bus.Options{}), bustest.NewSource("talker")
	b.Publish(source)
	if err := b.Subscribe(gatherer(t, &n, gather)); err != nil {
		t.Fatal(err)
	}
	run(t, b)
	begin := time.Now()
	source.Say("a")
	wait(t, b, "listener", 1)
	if took := time.Since(begin); took > gather/2 {
		t.Errorf("the first event took %v", took)
	}
	for i := range int64(5) {
		source.Say(fmt.Sprint("subject-", i))
		time.Sleep(time.Millisecond)
	}
	wait(t, b, "listener", 6)
	if took := time.Since(begin); len(n.given) != 2 || took < gather {
		t.Errorf("given %v after %v", n.given, took)
	}
}
