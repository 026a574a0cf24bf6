package saga_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/saga"
)

// step is a step whose bounds are in order.
func step(name string, kind saga.Kind) saga.Step {
	return saga.Step{
		Name: name, Kind: kind, Timeout: time.Second, Attempts: 3,
		Backoff: saga.Backoff{First: 100 * time.Millisecond, Max: time.Second},
	}
}

// trip books a journey: the flight is the point of no return.
var trip = saga.Definition{Name: "trip", Version: 1, Steps: []saga.Step{
	step("hotel", saga.Compensable), step("car", saga.Compensable), step("flight", saga.Pivot), step("mail", saga.Retriable),
}}

func with(change func(*saga.Step)) saga.Step {
	s := step("b", saga.Compensable)
	change(&s)
	return s
}

func TestCheckRefusesASagaThatCouldEndHalfDone(t *testing.T) {
	a := step("a", saga.Compensable)
	for _, c := range []struct {
		name  string
		steps []saga.Step
		want  string // "" when it is in order
	}{
		{"compensable, pivot, retriable", trip.Steps, ""},
		{"compensable steps alone", []saga.Step{a, step("b", saga.Compensable)}, ""},
		{"no pivot between compensable and retriable", []saga.Step{a, step("b", saga.Retriable)}, ""},
		{"nothing to do", nil, "it has 0 steps"},
		{"two pivots", []saga.Step{step("a", saga.Pivot), step("b", saga.Pivot)}, "one pivot at most"},
		{"a compensable step after the pivot", []saga.Step{step("a", saga.Pivot), step("b", saga.Compensable)}, "a compensable step cannot follow a pivot one"},
		{"a retriable step before the pivot", []saga.Step{step("a", saga.Retriable), step("b", saga.Pivot)}, "a pivot step cannot follow a retriable one"},
		{"a compensable step after a retriable one", []saga.Step{step("a", saga.Retriable), step("b", saga.Compensable)}, "cannot follow"},
		{"two steps of one name", []saga.Step{a, a}, "another step has this name"},
		{"a step without a name", []saga.Step{a, with(func(s *saga.Step) { s.Name = "" })}, "no name"},
		{"a step without a kind", []saga.Step{a, with(func(s *saga.Step) { s.Kind = 0 })}, "must be compensable"},
		{"a step without a timeout", []saga.Step{a, with(func(s *saga.Step) { s.Timeout = 0 })}, "timeout is 0s"},
		{"a step that is tried without end", []saga.Step{a, with(func(s *saga.Step) { s.Attempts = 0 })}, "attempts are 0"},
		{"a step without backoff", []saga.Step{a, with(func(s *saga.Step) { s.Backoff = saga.Backoff{} })}, "backoff is 0s to 0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := saga.Definition{Name: "x", Version: 1, Steps: c.steps}.Check()
			if (c.want == "") != (err == nil) || !strings.Contains(fmt.Sprint(err), c.want) && c.want != "" {
				t.Errorf("Check is %v, want %q", err, c.want)
			}
		})
	}
	if (saga.Definition{Name: "x", Steps: trip.Steps}).Check() == nil {
		t.Error("a saga without a version is accepted")
	}
}

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "first"))
		b := saga.Backoff{First: first, Max: first + time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more"))}
		failed := rapid.IntRange(1, 2000).Draw(t, "failed")
		jitter := rapid.Float64Range(0, 0.999999).Draw(t, "jitter")
		wait, longest := b.Delay(failed, func() float64 { return jitter }), b.Delay(failed, nil)
		if wait < longest/2 || wait > longest || longest > b.Max || longest < b.First {
			t.Fatalf("wait %v of at most %v is out of bounds", wait, longest)
		}
		if b.Delay(failed+1, nil) < longest {
			t.Fatalf("the wait shrinks after %d failures", failed)
		}
	})
}

func TestBackoffDoubles(t *testing.T) {
	b := saga.Backoff{First: time.Second, Max: 5 * time.Second}
	var got []time.Duration
	for failed := 1; failed <= 4; failed++ {
		got = append(got, b.Delay(failed, nil))
	}
	if diff := cmp.Diff([]time.Duration{1e9, 2e9, 4e9, 5e9}, got); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
}

func ExampleDefinition_Mermaid() {
	fmt.Print(trip.Mermaid())
	// Output:
	// flowchart LR
	//     start([trip v1]) --> hotel[hotel]
	//     hotel --> car[car]
	//     hotel -. refused .-> undo_hotel
	//     undo_hotel[undo hotel] --> undone([undone])
	//     car --> flight{flight}
	//     car -. refused .-> undo_car
	//     undo_car[undo car] --> undo_hotel
	//     flight --> mail[mail]
	//     flight -. refused .-> undo_car
	//     mail --> done([done])
}
