package bus

import (
	"context"
	"errors"
	"time"
)

// ErrMoved tells that a consumer's mark is not where this process left it: a step whose
// answer was lost, another process, or a store that forgot. The state is read again.
var ErrMoved = errors.New("the inbox was moved by somebody else")

// ErrNoLetter tells that a letter has ended already.
var ErrNoLetter = errors.New("there is no such letter")

// Keeper keeps what one consumer must remember, its inbox and its letters, and has the
// effects of events together with that. The one for SQL stands behind Consumer.Store; a
// room that keeps nothing in SQL brings another as Consumer.Keep. The suite is
// bustest.RunKeeper.
type Keeper interface {
	// Load is all that is kept; a consumer that is new begins at first.
	Load(ctx context.Context, first int64) (Kept, error)
	// Keep does a step, all of it or nothing: ErrMoved when the mark is not where the step
	// begins, Failed when the effect of an event cannot be had.
	Keep(ctx context.Context, s Step) error
	// First is the oldest letter of a key, as the event that it was; ErrNoLetter when there is none.
	First(ctx context.Context, subject string) (Event, error)
	// End ends a letter, with the effect of its event if it is to have one; ErrNoLetter when it has ended.
	End(ctx context.Context, e Ending) error
	// Failed keeps one more failure of a letter's event, and why.
	Failed(ctx context.Context, position int64, reason string) error
	// Letters are those after a position, oldest first, at most limit.
	Letters(ctx context.Context, after int64, limit int) ([]Letter, error)
	// Count is how many letters there are.
	Count(ctx context.Context) (int, error)
	// Acts are what operators did to letters, the newest first, at most limit.
	Acts(ctx context.Context, limit int) ([]Act, error)
}

// Kept is what a Keeper has of a consumer.
type Kept struct {
	Low    int64          // every position up to here is settled
	Ahead  []int64        // those above it that are settled already
	Parked map[string]int // letters by key
	Epoch  int64          // of one that several processes have before them: raised when a letter ends; else 0
}

// Step is what one batch changes.
type Step struct {
	From, To int64    // the mark moves from here to there
	Epoch    int64    // as it was read; ErrMoved when it has risen
	Ahead    []int64  // positions above To that are settled from now on
	Passed   bool     // positions that were kept as ahead may now be up to To, and be forgotten
	Handle   []Event  // to have their effect, in this order
	Park     []Parked // to become letters
}

// Parked is an event on its way to be a letter.
type Parked struct {
	Event    Event
	Attempts int // 0: it only waits behind another
	Reason   string
	Since    time.Time
}

// Letter is what operators see of it.
func (p *Parked) Letter(consumer string) Letter {
	e := &p.Event
	return Letter{
		ID: letterID(consumer, e.Position), Consumer: consumer, Source: e.Source, Position: e.Position, Type: e.Type,
		Subject: e.Subject, Time: e.Time, Since: p.Since, Attempts: p.Attempts, Reason: p.Reason,
	}
}

// Ending is how a letter ends.
type Ending struct {
	Position int64
	Handle   *Event // its event, to have its effect; nil: none
	Act      Act    // who ended it, and why
}

// Failed is the failure of an event's effect, told apart from that of the store.
func Failed(cause error) error { return &failure{cause} }
