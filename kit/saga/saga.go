// Package saga drives work that spans several rooms to an end: done, undone, or parked where an operator sees it.
//
//	Begin ─▶ running ──────────────▶ done
//	            │ refused             ▲
//	            ▼                     │ undone
//	        compensating ─────────────┘
//	            │ out of attempts (running too)
//	            ▼
//	         parked ── Retry, Skip ──▶ as it was        parked ── Abandon ──▶ abandoned
//
// A Definition is pure data: the steps in order, and their bounds. A Run is one execution, a row in the room's own store,
// begun in the transaction that makes it necessary. A Driver hands each unfinished run to the room's Advance, one caller
// at a time, and keeps the books of attempts. Whoever takes a store over raises the epoch of its runs, and what an older
// driver still tries to save is refused with ErrFenced (the fencing token of Lamport and of Kleppmann's lease).
//
// The kinds of step follow Garcia-Molina and Salem, "Sagas" (1987), with the pivot of later practice.
package saga

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind says what may become of a step once it has been tried.
type Kind uint8

// The kinds, in the order in which a saga's steps must stand.
const (
	Compensable Kind = iota + 1 // can be undone, and is when a later step is refused
	Pivot                       // the point of no return: its success decides the saga
	Retriable                   // comes after the decision and cannot be refused, only repeated
)

// String gives the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Compensable:
		return "compensable"
	case Pivot:
		return "pivot"
	case Retriable:
		return "retriable"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// Bounds of what a definition may ask for.
const (
	StepsMax    = 32               // steps of one saga
	TimeoutMax  = 10 * time.Minute // one attempt of one step
	AttemptsMax = 1000             // attempts of one step before it is parked
	BackoffMax  = 24 * time.Hour   // wait between two attempts
)

// Step is one piece of work that one room does.
type Step struct {
	Name     string
	Kind     Kind
	Timeout  time.Duration // bound of one attempt
	Attempts int           // how often it, and its compensation, is tried before the run is parked
	Backoff  Backoff       // wait between attempts
}

// Definition is a saga: what is done, in which order. A change of its steps is a new Version; runs that began under an
// old one end under it, so old versions stay registered until none of their runs is left.
type Definition struct {
	Name    string
	Version int
	Steps   []Step
}

// Check refuses a definition that could end half done: a pivot among compensable steps, a retriable one before it, a
// missing bound. Call it from a test, so that it holds at build time; NewDriver calls it again.
func (d Definition) Check() error {
	if d.Name == "" || d.Version < 1 {
		return fmt.Errorf("check saga %q: it needs a name and a version from 1", d.Name)
	}
	if len(d.Steps) == 0 || len(d.Steps) > StepsMax {
		return fmt.Errorf("check saga %s: it has %d steps, want 1 to %d", d.Name, len(d.Steps), StepsMax)
	}
	var wrong []error
	for i, s := range d.Steps {
		err := errors.Join(s.check(), d.checkOrder(i))
		if err != nil {
			wrong = append(wrong, fmt.Errorf("check saga %s step %q: %w", d.Name, s.Name, err))
		}
	}
	return errors.Join(wrong...)
}

// checkOrder looks at the step at i beside the one before it and all that share its name.
func (d Definition) checkOrder(i int) error {
	s := d.Steps[i]
	if j := slices.IndexFunc(d.Steps, func(o Step) bool { return o.Name == s.Name }); j < i {
		return errors.New("another step has this name")
	}
	if i == 0 {
		return nil
	}
	switch before := d.Steps[i-1].Kind; {
	case s.Kind == Pivot && before == Pivot:
		return errors.New("a saga has one pivot at most")
	case s.Kind < before:
		return fmt.Errorf("a %s step cannot follow a %s one: compensable steps come first, then the pivot, then retriable ones", s.Kind, before)
	}
	return nil
}

func (s Step) check() error {
	switch {
	case s.Name == "":
		return errors.New("it has no name")
	case s.Kind < Compensable || s.Kind > Retriable:
		return errors.New("it must be compensable, the pivot or retriable")
	case s.Timeout <= 0 || s.Timeout > TimeoutMax:
		return fmt.Errorf("its timeout is %v, want up to %v", s.Timeout, TimeoutMax)
	case s.Attempts < 1 || s.Attempts > AttemptsMax:
		return fmt.Errorf("its attempts are %d, want 1 to %d", s.Attempts, AttemptsMax)
	}
	return s.Backoff.check()
}

// Step finds a step by its name.
func (d Definition) Step(name string) (Step, bool) {
	i := d.index(name)
	if i < 0 {
		return Step{}, false
	}
	return d.Steps[i], true
}

// Next is the step that follows when this one has succeeded; false when the saga is then done.
func (d Definition) Next(name string) (Step, bool) {
	i := d.index(name)
	if i < 0 || i+1 == len(d.Steps) {
		return Step{}, false
	}
	return d.Steps[i+1], true
}

// Previous is the step to undo when this one has been undone, or could not be done; false when all is undone.
func (d Definition) Previous(name string) (Step, bool) {
	i := d.index(name)
	if i <= 0 {
		return Step{}, false
	}
	return d.Steps[i-1], true
}

func (d Definition) index(name string) int {
	return slices.IndexFunc(d.Steps, func(s Step) bool { return s.Name == name })
}
