package saga

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// follow advances one run in hand for as long as it is due, then lets it go.
func (d *Driver) follow(id string, s *slot) {
	ctx := d.ctx
	if s.span != nil {
		ctx = trace.ContextWithSpan(ctx, s.span)
	}
	run, err := d.first(ctx, id, s)
	for {
		if err == nil && run.State.Active() {
			run, err = d.step(ctx, run)
		}
		if d.letGo(id, s, run, err) {
			return
		}
		if err != nil || !d.due(run) { // it was kicked: what we hold may be out of date
			run, err = d.loadOurs(ctx, id)
		}
	}
}

// first is the run as it stands when it is taken in hand.
func (d *Driver) first(ctx context.Context, id string, s *slot) (Run, error) {
	if s.begun != nil && d.ours(*s.begun) {
		return *s.begun, nil
	}
	return d.loadOurs(ctx, id)
}

// loadOurs reads a run that is ours or becomes so; ErrFenced when it is another's.
func (d *Driver) loadOurs(ctx context.Context, id string) (Run, error) {
	run, err := d.load(ctx, id)
	if err != nil {
		return run, err
	}
	return d.own(ctx, run)
}

// letGo decides whether the run leaves our hands, and if so who comes next.
func (d *Driver) letGo(id string, s *slot, run Run, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closing && (s.again || err == nil && d.due(run)) {
		s.again = false
		return false
	}
	delete(d.slots, id)
	switch {
	case d.closing:
	case err != nil:
		d.complain(id, err) // due still: the next poll takes it up again
	case run.State.Active():
		d.wakeAt(run.NextAt)
	}
	for len(d.kicks) > 0 && d.takeKick() {
	}
	if d.starved && err == nil && len(d.slots) <= d.o.Workers/2 { // half, so that not every run let go asks the store
		d.starved = false
		d.wakeAt(d.o.Clock.Now())
	}
	return true
}

func (d *Driver) due(r Run) bool { return r.State.Active() && !r.NextAt.After(d.o.Clock.Now()) }

// complain logs why a run was left, unless it went into other hands or was swept.
func (d *Driver) complain(id string, err error) {
	if errors.Is(err, ErrFenced) || problem.Is(err, "run_not_found") {
		return
	}
	d.o.Log.ErrorContext(d.ctx, "run left for later", "run", id, "error", err)
}

func (d *Driver) load(ctx context.Context, id string) (Run, error) {
	var r Run
	err := d.store.View(ctx, func(tx sqlstore.Tx) (err error) {
		r, err = read(tx, id)
		return err
	})
	return r, err
}

// step makes one attempt at the step where the run stands, and keeps the books when it fails.
func (d *Driver) step(ctx context.Context, run Run) (Run, error) {
	step, known := d.sagas[version{run.Saga, run.Version}].Step(run.Step)
	if !known {
		return d.park(ctx, run, fmt.Sprintf("no saga %s v%d with step %q is known here", run.Saga, run.Version, run.Step))
	}
	began := d.o.Clock.Now()
	next, err := d.attempt(ctx, step, run)
	d.metrics.attempted(run, d.o.Clock.Now().Sub(began), err)
	switch {
	case err == nil:
		d.metrics.ended(next)
		return next, nil
	case errors.Is(err, ErrFenced), d.ctx.Err() != nil:
		return run, err // not a failure of the step: it is in other hands, or we are closing
	default:
		return d.failed(ctx, run, step, err)
	}
}

// attempt calls the room under the step's timeout; a panic there is an error here.
func (d *Driver) attempt(ctx context.Context, step Step, run Run) (next Run, err error) {
	ctx, cancel := context.WithTimeout(ctx, step.Timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			d.o.Log.ErrorContext(ctx, "step panicked", "run", run.ID, "step", run.Step, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("advance run %s step=%s: panic: %v", run.ID, run.Step, r)
		}
	}()
	return d.advance(ctx, run)
}

// failed counts an attempt that failed: the next one waits, the last one parks. When the room had saved progress before
// its error, that progress stands and nothing is counted.
func (d *Driver) failed(ctx context.Context, run Run, step Step, cause error) (Run, error) {
	d.o.Log.WarnContext(ctx, "step failed", "run", run.ID, "saga", run.Saga, "step", run.Step, "state", string(run.State),
		"attempt", run.Attempt, "of", step.Attempts, "error", cause)
	if run.Attempt >= step.Attempts {
		return d.park(ctx, run, cause.Error())
	}
	next := d.o.Clock.Now().Add(step.Backoff.Delay(run.Attempt, d.o.Jitter))
	return d.ifUnmoved(ctx, run, func(tx sqlstore.Tx) (Run, error) {
		waiting := run.again(cause.Error(), next)
		return waiting, Save(tx, waiting)
	})
}

func (d *Driver) park(ctx context.Context, run Run, why string) (Run, error) {
	by := By{Actor: d.owner, Reason: why, At: d.o.Clock.Now()}
	parked, err := d.ifUnmoved(ctx, run, func(tx sqlstore.Tx) (Run, error) { return Park(tx, run.ID, by) })
	if err == nil && parked.State == Parked {
		d.metrics.park(parked)
		d.o.Log.ErrorContext(ctx, "run parked", "run", run.ID, "saga", run.Saga, "step", run.Step, "error", why)
	}
	return parked, err
}

// ifUnmoved writes the books of a run that stands where we read it; otherwise it gives the run as it stands now.
func (d *Driver) ifUnmoved(ctx context.Context, run Run, write func(sqlstore.Tx) (Run, error)) (Run, error) {
	var out Run
	err := d.store.Update(ctx, func(tx sqlstore.Tx) error {
		now, err := read(tx, run.ID)
		switch {
		case err != nil:
			return err
		case now.Epoch != run.Epoch:
			return fmt.Errorf("keep books of run %s: %w", run.ID, ErrFenced)
		case now.State != run.State || now.Step != run.Step || now.Attempt != run.Attempt:
			out = now
			return nil
		}
		out, err = write(tx)
		return err
	})
	return out, err
}
