package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/internal/watermark"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// follower is a Consumer at work. Its mutex is held through a batch or an
// operator's act, so that each has the state to itself.
type follower struct {
	Consumer
	options Options
	keeper  Keeper

	leases   *lease.Keeper // of Store
	replicas Replicated    // the keeper, if other processes have its rows before them; else nil
	leading  bool          // this process is the one that delivers; guarded by mu
	lease    int64         // its epoch then
	asked    atomic.Int32  // who waits for the mark
	look     chan struct{} // somebody has begun to wait for it

	feed    Feed           // set once, before it delivers
	source  Feed           // the same, as its source gives it
	distant *expectation   // of a source in another process; nil for one that is here
	mark    watermark.Mark // inbox.low, for those who wait or measure
	rested  time.Time      // end of the last batch that was not full; of the goroutine that delivers

	mu      sync.Mutex
	inbox   inbox
	parked  map[string]int   // letters by key
	letters int              // their sum
	trials  map[int64]*trial // deliveries that failed and are tried again, by position
	stale   bool             // an update failed and may yet have been done: read the store again

	handled, retried, buried atomic.Int64
	waiting                  atomic.Int64 // unix µs of the oldest event not settled, 0 if none is known
	held                     atomic.Int64 // letters, for the collector
}

// trial is an event between two deliveries.
type trial struct {
	failures int
	due      time.Time
}

// act is what a batch does with one event.
type act uint8

const (
	ignore act = iota // no handler, no effect
	handle            // run the handler
	park              // a letter of this key waits: stand behind it
)

type task struct {
	event *Event
	act   act
}

// failure is a handler's error, told apart from the store's.
type failure struct{ cause error }

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

func newConsumer(c Consumer, o Options) (*follower, error) {
	if c.Name == "" || c.Source == "" || (c.Store == nil) == (c.Keep == nil) {
		return nil, fmt.Errorf("subscribe %q to %q: a name, a source and a store or a keeper are needed", c.Name, c.Source)
	}
	c.Attempts = orDefault(c.Attempts, AttemptsDefault)
	c.BackoffMin = orDefault(c.BackoffMin, BackoffMinDefault)
	c.BackoffMax = max(c.BackoffMin, orDefault(c.BackoffMax, BackoffMaxDefault))
	c.LettersMax = orDefault(c.LettersMax, LettersDefault)
	f := &follower{Consumer: c, options: o, keeper: c.Keep, trials: make(map[int64]*trial), look: make(chan struct{}, 1)}
	if f.keeper == nil {
		f.keeper = sqlKeeper{f}
		if f.leases = o.Leases.Of(c.Store); f.leases.Shared() {
			f.replicas = sqlKeeper{f}
		}
	}
	return f, nil
}

func orDefault[T int | time.Duration](value, standard T) T {
	if value <= 0 {
		return standard
	}
	return value
}

// reload takes the state from the store, whatever memory says. Who delivers
// beside other processes claims it.
func (f *follower) reload(ctx context.Context, first int64) error {
	load := func() (Kept, error) { return f.keeper.Load(ctx, first) }
	if f.leading {
		load = func() (Kept, error) { return f.replicas.Claim(ctx, f.lease) }
	}
	kept, err := load()
	if err != nil {
		return err
	}
	f.adopt(kept)
	return nil
}

// trust passes on how a change of what is kept ended. After any error but a
// handler's, memory is not trusted any more.
func (f *follower) trust(err error) error {
	var failed *failure
	if err != nil && !errors.As(err, &failed) {
		f.stale = true
	}
	return err
}

// idle waits for the feed. A keeper that may forget, or that others change too,
// is looked at meanwhile.
func (f *follower) idle(ctx context.Context, low int64) error {
	if f.LookAgain <= 0 {
		return f.feed.Wait(ctx, low)
	}
	wait, cancel := context.WithTimeout(ctx, f.LookAgain)
	defer cancel()
	if err := f.feed.Wait(wait, low); err == nil || ctx.Err() != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, err := f.keeper.Load(ctx, 0)
	if err != nil || kept.Low == f.inbox.stored && kept.Epoch == f.inbox.epoch {
		return err
	}
	if kept.Low < f.inbox.stored {
		f.options.Log.WarnContext(ctx, "the store of a consumer has forgotten; what it forgot is heard again",
			"consumer", f.Name, "source", f.Source, "left", f.inbox.stored, "is", kept.Low)
	}
	f.adopt(kept)
	return nil
}

// run delivers until the context ends, then stores how far it came.
func (f *follower) run(ctx context.Context) {
	pause := f.BackoffMin
	for ctx.Err() == nil {
		head, progressed, err := f.step(ctx)
		switch {
		case progressed:
			pause = f.BackoffMin
			continue
		case errors.Is(err, ErrMoved) && (f.shared() || f.Keep != nil):
			continue // a letter was ended elsewhere, or another delivers: the claim tells
		case lost(err) && ctx.Err() == nil:
			f.options.Log.InfoContext(ctx, "another process delivers", "consumer", f.Name)
		case err != nil && ctx.Err() == nil:
			f.options.Log.ErrorContext(ctx, "consumer stands still", "consumer", f.Name, "source", f.Source,
				"position", f.mark.Position(), "err", err)
			head = f.feed.Head()
		}
		f.rest(ctx, head, pause)
		pause = min(2*pause, f.BackoffMax)
	}
	f.flush(context.WithoutCancel(ctx))
}

// step waits for the feed, takes one batch and settles what it can. It returns
// the head that it saw, because a rest is over when the feed grows beyond it.
func (f *follower) step(ctx context.Context) (head int64, progressed bool, err error) {
	low := f.mark.Position()
	if head = f.feed.Head(); head <= low {
		f.waiting.Store(0)
		err := f.idle(ctx, low)
		return head, err == nil, err
	}
	if err := f.gather(ctx); err != nil {
		return head, false, err
	}
	events, err := f.feed.After(ctx, low, f.options.BatchMax)
	if err != nil {
		return head, false, err
	}
	if len(events) > 0 {
		f.waiting.Store(events[0].Time.UnixMicro())
	}
	if len(events) == f.options.BatchMax {
		head = math.MaxInt64 // a full window does not change when the feed grows
	}
	progressed, err = f.take(ctx, events)
	if len(events) < f.options.BatchMax {
		f.rested = f.options.Clock.Now()
	}
	return head, progressed, err
}

// gather lets events come together: the first after a quiet time is taken at
// once, the next ones in batches.
func (f *follower) gather(ctx context.Context) error {
	if f.Gather <= 0 {
		return nil
	}
	wait := f.Gather - f.options.Clock.Now().Sub(f.rested)
	if wait <= 0 {
		return nil
	}
	timer := f.options.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take delivers a batch under the lock, in the order of positions.
func (f *follower) take(ctx context.Context, events []Event) (progressed bool, err error) {
	if !slices.IsSortedFunc(events, byPosition) {
		events = slices.SortedFunc(slices.Values(events), byPosition)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stale {
		if err := f.reload(ctx, 0); err != nil {
			return false, err
		}
	}
	return f.deliver(ctx, events)
}

func byPosition(a, b Event) int { return cmp.Compare(a.Position, b.Position) }

// deliver settles events in one transaction. If a handler fails there, each
// event has its own, so that the failing one is known and takes no other down.
func (f *follower) deliver(ctx context.Context, events []Event) (progressed bool, err error) {
	tasks, next := f.pick(events)
	if len(tasks) == 0 {
		return false, nil
	}
	err = f.settle(ctx, tasks, next)
	var failed *failure
	switch {
	case err == nil:
		return true, nil
	case !errors.As(err, &failed) || ctx.Err() != nil:
		return false, err
	case len(tasks) == 1:
		return f.failed(ctx, tasks[0].event, failed.cause)
	}
	for _, task := range tasks {
		settled, err := f.deliver(ctx, []Event{*task.event})
		if err != nil {
			return progressed, err
		}
		progressed = progressed || settled
	}
	return progressed, nil
}

// pick chooses what can be settled now, and the inbox as it would be then.
// Left out are duplicates, events that come before their key's previous one,
// those whose next delivery is not due, and letters beyond the bound.
func (f *follower) pick(events []Event) (tasks []task, next inbox) {
	next = f.inbox.clone()
	tasks = make([]task, 0, len(events))
	letters := f.letters
	for i := range events {
		event := &events[i]
		if next.settled(event.Position) || !next.settled(event.Prev) {
			continue
		}
		what := f.judge(event)
		if what == park {
			if letters++; letters > f.LettersMax {
				continue
			}
		}
		if trial := f.trials[event.Position]; trial != nil && what == handle {
			if len(tasks) > 0 || f.options.Clock.Now().Before(trial.due) {
				continue
			}
			next.settle(event.Position, true) // it failed before: it goes alone
			return append(tasks, task{event, what}), next
		}
		next.settle(event.Position, what != ignore)
		tasks = append(tasks, task{event, what})
	}
	return tasks, next
}

// hears says that events of that type have an effect.
func (f *follower) hears(typ string) bool {
	return f.Handle[typ] != nil || f.HandleAll[typ] != nil || slices.Contains(f.Hears, typ)
}

func (f *follower) judge(event *Event) act {
	switch {
	case !f.hears(event.Type):
		return ignore
	case f.parked[event.Subject] > 0:
		return park
	}
	return handle
}

// settle does the tasks and stores the next inbox, in one transaction. Events
// of no interest alone are not worth one, up to a bound.
func (f *follower) settle(ctx context.Context, tasks []task, next inbox) error {
	effects := slices.ContainsFunc(tasks, func(t task) bool { return t.act != ignore })
	if !effects && next.low-next.stored < ignoredMax {
		f.become(next)
		return nil
	}
	step := next.step(&f.inbox)
	for _, task := range tasks {
		switch task.act {
		case handle:
			step.Handle = append(step.Handle, *task.event)
		case park:
			step.Park = append(step.Park, f.parking(task.event, 0, "waits behind an earlier letter of its key"))
		}
	}
	began := f.options.Clock.Now()
	err := f.trust(f.keeper.Keep(ctx, step))
	f.traced(tasks, began, err)
	if err != nil {
		return err
	}
	next.stored = next.low
	for _, task := range tasks {
		f.count(task)
	}
	f.become(next)
	return nil
}

func (f *follower) parking(event *Event, attempts int, reason string) Parked {
	return Parked{Event: *event, Attempts: attempts, Reason: clip(reason), Since: f.options.Clock.Now()}
}

// do handles events in their order; neighbours of one type together where they can be.
func (f *follower) do(tx sqlstore.Tx, events []Event) error {
	for len(events) > 0 {
		n := 1
		if typ := events[0].Type; f.HandleAll[typ] != nil {
			for n < len(events) && events[n].Type == typ {
				n++
			}
		}
		if err := f.call(tx, events[:n:n]...); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// call runs the handler of events of one type; a panic is a failure like any other.
func (f *follower) call(tx sqlstore.Tx, events ...Event) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = &failure{fmt.Errorf("the handler panicked: %v", panicked)}
		}
	}()
	if all := f.HandleAll[events[0].Type]; all != nil {
		err = all(tx, events)
	} else {
		err = f.Handle[events[0].Type](tx, events[0])
	}
	if err != nil {
		return &failure{err}
	}
	return nil
}

// count keeps the figures of a settled task.
func (f *follower) count(t task) {
	switch t.act {
	case handle:
		f.handled.Add(1)
		delete(f.trials, t.event.Position)
	case park:
		f.letter(t.event.Subject, +1)
	}
}

// become makes the next inbox the present one and wakes who waits for it.
func (f *follower) become(next inbox) {
	f.inbox = next
	if next.low != f.mark.Position() {
		f.mark.Set(next.low)
	}
}

// failed counts one failure of an event: a pause, or after the last attempt a
// letter. While there is no room or no store for letters, the pauses go on.
func (f *follower) failed(ctx context.Context, event *Event, cause error) (settled bool, err error) {
	ctx = event.Meta.Within(ctx) // so that the log names the trace
	t := f.trials[event.Position]
	if t == nil {
		t = &trial{}
		f.trials[event.Position] = t
	}
	t.failures++
	t.due = f.options.Clock.Now().Add(f.backoff(t.failures))
	log := f.options.Log.With("consumer", f.Name, "event", event.ID, "type", event.Type, "failures", t.failures, "err", cause)
	if t.failures < f.Attempts {
		f.retried.Add(1)
		log.WarnContext(ctx, "event failed, to be tried again")
		return false, nil
	}
	if f.letters >= f.LettersMax {
		log.ErrorContext(ctx, "event failed for good and there is no room for its letter")
		return false, nil
	}
	log.ErrorContext(ctx, "event failed for good and is a dead letter now; its key is parked", "subject", event.Subject)
	return true, f.bury(ctx, event, t.failures, cause)
}

// bury makes the event a letter and settles it.
func (f *follower) bury(ctx context.Context, event *Event, failures int, cause error) error {
	next := f.inbox.clone()
	next.settle(event.Position, true)
	step := next.step(&f.inbox)
	step.Park = []Parked{f.parking(event, failures, cause.Error())}
	if err := f.trust(f.keeper.Keep(ctx, step)); err != nil {
		return fmt.Errorf("make %s a letter of %s: %w", event.ID, f.Name, err)
	}
	next.stored = next.low
	delete(f.trials, event.Position)
	f.buried.Add(1)
	f.letter(event.Subject, +1)
	f.become(next)
	return nil
}

// letter counts the letters of a key up or down.
func (f *follower) letter(subject string, by int) {
	f.letters += by
	f.held.Store(int64(f.letters))
	if f.parked[subject] += by; f.parked[subject] <= 0 {
		delete(f.parked, subject)
	}
}

// backoff doubles with each failure; the jitter of its upper half keeps
// consumers that failed together from trying together.
func (f *follower) backoff(failures int) time.Duration {
	pause := f.BackoffMin << min(failures-1, 16)
	if pause > f.BackoffMax || pause <= 0 {
		pause = f.BackoffMax
	}
	return pause/2 + rand.N(pause/2+1)
}

// rest ends when the next delivery is due, when the feed grows beyond head, or
// after the pause if neither is to be expected: a feed may owe events.
func (f *follower) rest(ctx context.Context, head int64, pause time.Duration) {
	if due, ok := f.nextDue(); ok {
		pause = max(0, due.Sub(f.options.Clock.Now()))
	}
	ctx, wake := context.WithCancel(ctx)
	timer := f.options.Clock.NewTimer(pause)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer wake()
		select {
		case <-timer.C():
		case <-ctx.Done():
		}
	}()
	_ = f.feed.Wait(ctx, head) // however it ends, the rest is over
	wake()
	timer.Stop()
	<-done
}

// nextDue is when the earliest delivery of a failed event is due.
func (f *follower) nextDue() (due time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.trials {
		if !ok || t.due.Before(due) {
			due, ok = t.due, true
		}
	}
	return due, ok
}

// flush stores a mark that ignored events alone have moved.
func (f *follower) flush(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stale || f.inbox.low == f.inbox.stored {
		return
	}
	next := f.inbox.clone()
	if err := f.trust(f.keeper.Keep(ctx, next.step(&f.inbox))); err != nil {
		f.options.Log.WarnContext(ctx, "the mark of a consumer was not stored; it reads some events again",
			"consumer", f.Name, "err", err)
		return
	}
	f.inbox.stored = f.inbox.low
}
