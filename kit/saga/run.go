package saga

import (
	"errors"
	"strings"
	"time"
)

// ErrFenced refuses a save by a driver from whom the run has been taken: by a newer owner of the store, or by an
// operator. The driver drops the run; it is in other hands.
var ErrFenced = errors.New("the run is in other hands")

// State is where a run stands.
type State string

// The states of a run. Running and compensating ones are driven; parked ones wait for an operator.
const (
	Running      State = "running"
	Compensating State = "compensating"
	Done         State = "done" // to its end, or all undone
	Parked       State = "parked"
	Abandoned    State = "abandoned"
)

// Active says whether a driver works on runs in this state.
func (s State) Active() bool { return s == Running || s == Compensating }

// ErrorTextMax is how many bytes of an error a run keeps.
const ErrorTextMax = 500

// Run is one execution of a saga.
type Run struct {
	ID      string
	Saga    string
	Version int
	State   State
	Resume  State     // of a parked run: the state to which Retry returns it
	Step    string    // the step under way, or being undone
	Attempt int       // which attempt of it, from 1
	NextAt  time.Time // when it is due
	Epoch   int64     // rises whenever the run changes hands
	Owner   string    // whose hands
	// LastError is why the last attempt failed; "" once a later one succeeded.
	LastError string
	StartedAt time.Time
	EndedAt   time.Time // zero until done or abandoned
}

// New is a run of this saga that is due at once. Give it to Begin in the transaction that makes it necessary.
func (d Definition) New(id, owner string, now time.Time) Run {
	return Run{
		ID: id, Saga: d.Name, Version: d.Version, State: Running, Step: d.Steps[0].Name,
		Attempt: 1, NextAt: now, Epoch: 1, Owner: owner, StartedAt: now,
	}
}

// To moves the run to another step, due at once.
func (r Run) To(step string, now time.Time) Run {
	r.Step, r.Attempt, r.NextAt, r.LastError = step, 1, now, ""
	return r
}

// Compensate turns the run round: it undoes step, then those before it.
func (r Run) Compensate(step string, now time.Time) Run {
	r.State = Compensating
	return r.To(step, now)
}

// Wait leaves the run at its step until a moment; the attempt is not counted as failed.
func (r Run) Wait(until time.Time) Run {
	r.NextAt = until
	return r
}

// End marks the run done: to its end, or all undone.
func (r Run) End(now time.Time) Run {
	r.State, r.EndedAt, r.LastError = Done, now, ""
	return r
}

// again counts a failed attempt and waits for the next.
func (r Run) again(why string, next time.Time) Run {
	r.Attempt, r.NextAt, r.LastError = r.Attempt+1, next, clip(why)
	return r
}

func clip(text string) string {
	if len(text) > ErrorTextMax {
		return strings.ToValidUTF8(text[:ErrorTextMax], "")
	}
	return text
}
