package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// errTooMany says that the last changes did not fit a fence.
var errTooMany = errors.New("the last changes could not be copied while the fence stood")

// change carries the last changes over while nobody makes others, and puts the target in charge.
func (m *mover) change(ctx context.Context) error {
	for try := 1; ; try++ {
		if err := m.approach(ctx); err != nil {
			return err
		}
		err := m.fenced(ctx)
		if !errors.Is(err, errTooMany) || try == fenceTries {
			return err
		}
		m.Log.Info("a move lets the updates go on and tries again", "move", m.ID, "try", try, "fence", m.FenceMax)
	}
}

// fenced is one fence, within which all has to be done in FenceMax. The source is sealed before the last changes are
// read: a process that shares it, and that this fence does not hold, makes none after them either.
func (m *mover) fenced(ctx context.Context) error {
	bound, cancel := context.WithTimeout(ctx, m.FenceMax)
	defer cancel()
	began := m.Clock.Now()
	fence, err := m.From.Fence(bound, m.FenceMax)
	if err != nil {
		return tooMany(ctx, err)
	}
	defer fence.Release()
	if err := fence.Keep(); err != nil { // what follows is bounded, and must undo what it did before the fence falls
		return tooMany(ctx, err)
	}
	m.tell(Progress{Stage: Switching, Total: m.told.Total})
	if err := m.hand(bound, fence); err != nil {
		return errors.Join(tooMany(ctx, err), m.unseal(context.WithoutCancel(ctx), fence))
	}
	if err := fence.Swap(m.to); err != nil {
		return err
	}
	fence.Release()
	m.finish(context.WithoutCancel(ctx), m.Clock.Now().Sub(began))
	return nil
}

// tooMany tells a fence's end from others: the caller's context has not ended, so it was the bound's.
func tooMany(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sqlstore.ErrFence)) {
		return fmt.Errorf("%w: %w", errTooMany, err)
	}
	return err
}

// hand seals the source, copies the last changes, and records where the rows are. Until the record stands, every step
// can be undone.
func (m *mover) hand(ctx context.Context, fence *sqlstore.Fence) error {
	if err := m.seal(ctx, fence); err != nil {
		return fmt.Errorf("seal the source: %w", err)
	}
	crashpoint.Hit("move sealed")
	if _, err := m.follow(ctx, nil); err != nil {
		return err
	}
	if err := m.mark(ctx, m.to, Ready, m.Here); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	crashpoint.Hit("move ready")
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.Record(ctx); err != nil {
		return err
	}
	crashpoint.Hit("move recorded")
	return nil
}

// seal makes the source refuse changes.
func (m *mover) seal(ctx context.Context, fence *sqlstore.Fence) error {
	return fence.Update(ctx, func(tx sqlstore.Tx) error {
		is, err := readMark(tx)
		if err != nil {
			return err
		}
		if is.State != Leaving || is.Move != m.ID {
			return fmt.Errorf("another process has opened the room meanwhile and ended this move: the source is %q", is.State)
		}
		if err := m.capture.seal(tx); err != nil {
			return err
		}
		return writeMark(tx, m.markOf(Sealing, m.There))
	})
}

// unseal lets the source go on and notes its changes again. First it makes the target useless, if it was made ready: a
// record that failed and was written nevertheless must not be believed once the source goes on.
func (m *mover) unseal(ctx context.Context, fence *sqlstore.Fence) error {
	ctx, cancel := context.WithTimeout(ctx, undoMax)
	defer cancel()
	spoilt := m.mark(ctx, m.to, Filling, m.Here)
	return errors.Join(spoilt, fence.Update(ctx, func(tx sqlstore.Tx) error {
		is, err := readMark(tx)
		if err != nil || is.State != Sealing || is.Move != m.ID {
			return err
		}
		if err := m.capture.note(tx); err != nil {
			return err
		}
		return writeMark(tx, m.markOf(Leaving, m.There))
	}))
}

// finish tells both stores what they are from now on. The record stands: what fails here is done by the next start.
func (m *mover) finish(ctx context.Context, held time.Duration) {
	crashpoint.Hit("move swapped")
	m.tell(Progress{Stage: Done, Rows: m.told.Total, Total: m.told.Total, Held: held})
	ctx, cancel := context.WithTimeout(ctx, undoMax)
	defer cancel()
	err := Left(ctx, m.to, m.ID, m.There) // the swap has put the former database here
	if err == nil && (m.From.Shared() || !m.to.Shared()) {
		err = Arrived(ctx, m.From)
	} // else the target stays unopenable to others until this process, which goes on alone, has started anew
	if err != nil {
		m.Log.Warn("the former database could not be told that its rows have moved; it takes no updates all the same", "move", m.ID, "from", m.Here, "error", err)
	}
	crashpoint.Hit("move done")
}
