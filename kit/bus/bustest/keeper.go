package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
)

// ConsumerName is whom RunKeeper's keepers keep; its source is "talker", and events of Type have an effect.
const ConsumerName = "test.keeper"

// RunKeeper proves a bus.Keeper; fresh gives one that has kept nothing.
func RunKeeper(t *testing.T, fresh func(t *testing.T) bus.Keeper) {
	for _, row := range []struct {
		name string
		test func(*kept)
	}{
		{"a new consumer begins where it is told, once", begins},
		{"a step is done once, from where the mark is", moves},
		{"of steps from one place at the same time one is done", movesOnce},
		{"positions ahead are kept until the mark has passed them", keepsAhead},
		{"letters are listed in their order, page by page", lists},
		{"the first letter of a key is its oldest", finds},
		{"a letter ends once, and it is kept who ended it", endsOnce},
		{"a letter that fails again says so, and one that has ended stays away", failsAgain},
	} {
		t.Run(row.name, func(t *testing.T) { row.test(&kept{t, context.Background(), fresh(t)}) })
	}
}

// kept is one keeper under test.
type kept struct {
	*testing.T
	ctx context.Context
	bus.Keeper
}

func (k *kept) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *kept) wants(want bus.Kept) {
	k.Helper()
	got, err := k.Load(k.ctx, 0)
	k.must(err)
	slices.Sort(got.Ahead)
	if len(got.Ahead) == 0 {
		got.Ahead = nil
	}
	want.Epoch = got.Epoch // its own matter
	if want.Parked == nil {
		want.Parked = map[string]int{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		k.Errorf("kept (-want +got):\n%s", diff)
	}
}

var since = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// said is an event of the source.
func said(subject string, position int64) bus.Event {
	return bus.Event{
		ID: fmt.Sprint("talker/", position), Source: "talker", Type: Type, Subject: subject, Position: position, Prev: position / 2,
		Time: since, Data: []byte{0, 255, '"'}, Meta: eventlog.Meta{Shop: "main", Actor: "service:talker", Time: since},
	}
}

// park makes letters of a subject, in a step that moves the mark by one.
func (k *kept) park(from int64, subject string, positions ...int64) {
	k.Helper()
	s := bus.Step{From: from, To: from + 1}
	for _, position := range positions {
		s.Park = append(s.Park, bus.Parked{Event: said(subject, position), Attempts: int(position % 3), Reason: "no “luck”", Since: since})
	}
	k.must(k.Keep(k.ctx, s))
}

func begins(k *kept) {
	for _, first := range []int64{1 << 40, 0, 7} {
		got, err := k.Load(k.ctx, first)
		if k.must(err); got.Low != 1<<40 {
			k.Errorf("told %d it begins at %d", first, got.Low)
		}
	}
}

func moves(k *kept) {
	k.wants(bus.Kept{})
	step := bus.Step{From: 0, To: 12, Handle: []bus.Event{said("a", 3), said("b", 4)}, Park: []bus.Parked{{Event: said("c", 5)}}}
	k.must(k.Keep(k.ctx, step))
	k.wants(bus.Kept{Low: 12, Parked: map[string]int{"c": 1}})
	step.Park[0].Event.Position = 6
	if err := k.Keep(k.ctx, step); !errors.Is(err, bus.ErrMoved) {
		k.Errorf("the same step again is %v, want ErrMoved", err)
	}
	k.must(k.Keep(k.ctx, bus.Step{From: 12, To: 12}))
	k.wants(bus.Kept{Low: 12, Parked: map[string]int{"c": 1}})
}

func movesOnce(k *kept) {
	k.wants(bus.Kept{})
	var won, lost atomic.Int64
	var all sync.WaitGroup
	for i := range int64(16) {
		all.Go(func() {
			switch err := k.Keep(k.ctx, bus.Step{From: 0, To: 1 + i}); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, bus.ErrMoved):
				lost.Add(1)
			default:
				k.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		k.Errorf("%d were done and %d were not", won.Load(), lost.Load())
	}
}

func keepsAhead(k *kept) {
	k.wants(bus.Kept{})
	k.must(k.Keep(k.ctx, bus.Step{To: 2, Ahead: []int64{5, 10, 9}}))
	k.wants(bus.Kept{Low: 2, Ahead: []int64{5, 9, 10}})
	k.must(k.Keep(k.ctx, bus.Step{From: 2, To: 9, Ahead: []int64{12}, Passed: true}))
	k.wants(bus.Kept{Low: 9, Ahead: []int64{10, 12}})
}

func lists(k *kept) {
	k.wants(bus.Kept{})
	k.park(0, "b", 9, 100)
	k.park(1, "a", 10, 2)
	n, err := k.Count(k.ctx)
	if k.must(err); n != 4 {
		k.Errorf("there are %d letters, want 4", n)
	}
	first, err := k.Letters(k.ctx, 2, 2)
	k.must(err)
	want := bus.Letter{
		ID: ConsumerName + ":9", Consumer: ConsumerName, Source: "talker", Position: 9, Type: Type, Subject: "b",
		Time: since, Since: since, Attempts: 0, Reason: "no “luck”",
	}
	if diff := cmp.Diff([]bus.Letter{want}, first[:1]); diff != "" || len(first) != 2 || first[1].Position != 10 {
		k.Errorf("a page of two after 2 is %+v, %s", first, diff)
	}
	rest, err := k.Letters(k.ctx, 10, 200)
	if k.must(err); len(rest) != 1 || rest[0].Position != 100 {
		k.Errorf("the rest is %+v", rest)
	}
}

func finds(k *kept) {
	k.wants(bus.Kept{})
	k.park(0, "ord_1", 100, 9)
	k.park(1, "ord_10", 2)
	k.park(2, "ord_", 1)
	first, err := k.First(k.ctx, "ord_1")
	k.must(err)
	if diff := cmp.Diff(said("ord_1", 9), first); diff != "" {
		k.Error(diff)
	}
	if _, err := k.First(k.ctx, "ord_2"); !errors.Is(err, bus.ErrNoLetter) {
		k.Errorf("of a key without letters: %v", err)
	}
	k.wants(bus.Kept{Low: 3, Parked: map[string]int{"ord_1": 2, "ord_10": 1, "ord_": 1}})
}

func endsOnce(k *kept) {
	k.wants(bus.Kept{})
	k.park(0, "a", 1, 2)
	event := said("a", 1)
	act := bus.Act{Letter: ConsumerName + ":1", Action: "redrive", Actor: "staff:key", Reason: "again", Time: since}
	k.must(k.End(k.ctx, bus.Ending{Position: 1, Handle: &event, Act: act}))
	if err := k.End(k.ctx, bus.Ending{Position: 1, Handle: &event, Act: act}); !errors.Is(err, bus.ErrNoLetter) {
		k.Errorf("ended twice: %v", err)
	}
	skip := act
	skip.Letter, skip.Action, skip.Time = ConsumerName+":2", "skip", since.Add(time.Second)
	k.must(k.End(k.ctx, bus.Ending{Position: 2, Act: skip}))
	k.wants(bus.Kept{Low: 1})
	acts, err := k.Acts(k.ctx, 10)
	k.must(err)
	if diff := cmp.Diff([]bus.Act{skip, act}, acts); diff != "" {
		k.Error(diff)
	}
	if acts, err = k.Acts(k.ctx, 1); err != nil || len(acts) != 1 {
		k.Errorf("the newest act is %+v, %v", acts, err)
	}
	if _, err := k.First(k.ctx, "a"); !errors.Is(err, bus.ErrNoLetter) {
		k.Errorf("of a key whose letters have ended: %v", err)
	}
}

func failsAgain(k *kept) {
	k.wants(bus.Kept{})
	k.park(0, "a", 5)
	k.must(k.Failed(k.ctx, 5, "still not"))
	letters, err := k.Letters(k.ctx, 0, 10)
	if k.must(err); len(letters) != 1 || letters[0].Attempts != 3 || letters[0].Reason != "still not" || letters[0].Subject != "a" {
		k.Errorf("it is %+v", letters)
	}
	k.must(k.End(k.ctx, bus.Ending{Position: 5, Act: bus.Act{Letter: ConsumerName + ":5", Action: "skip", Time: since}}))
	k.must(k.Failed(k.ctx, 5, "too late"))
	if n, err := k.Count(k.ctx); err != nil || n != 0 {
		k.Errorf("%d letters are back, %v", n, err)
	}
}
