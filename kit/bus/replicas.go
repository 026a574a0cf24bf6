package bus

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Where several processes share a consumer's store, one of them delivers: it holds the consumer's lease. It begins by
// claiming the inbox, which raises its epoch, and everything that it settles is fenced by that epoch. The others stand
// by: they read the inbox now and then, and at once while somebody waits, so that a position may be asked of any
// process. Operators end letters from any process; the epoch then has the one that delivers read them again.

const (
	glanceIdle = time.Second           // between two looks of a process that stands by
	glanceBusy = 20 * time.Millisecond // while somebody waits for a position
	glanceMin  = 5 * time.Millisecond  // at least, however much is committed elsewhere
)

// Replicated is a Keeper whose rows several processes have before them.
type Replicated interface {
	Keeper
	// Claim is Load for the holder of the consumer's lease, and raises the epoch: no Step of an earlier one is kept from
	// then on. lease.ErrLost when the lease is another's by now.
	Claim(ctx context.Context, lease int64) (Kept, error)
	// Look is Load for those who stand by; it changes nothing.
	Look(ctx context.Context) (Kept, error)
}

// shared says that other processes may follow as this consumer too.
func (f *follower) shared() bool { return f.replicas != nil }

func (f *follower) leaseName() string { return "bus." + f.Name }

// live delivers while this process is the one to do so, and stands by meanwhile.
func (f *follower) live(ctx context.Context) {
	if !f.shared() {
		f.run(ctx)
		return
	}
	aside := make(chan struct{})
	go func() { defer close(aside); f.standBy(ctx) }()
	err := f.leases.Hold(ctx, f.leaseName(), func(ctx context.Context, epoch int64) error {
		f.lead(ctx, epoch)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		f.options.Log.ErrorContext(ctx, "consumer has no lease", "consumer", f.Name, "err", err)
	}
	<-aside
}

// lead delivers until the context ends.
func (f *follower) lead(ctx context.Context, epoch int64) {
	f.mu.Lock()
	f.lease, f.leading, f.stale = epoch, true, true // so that the inbox is claimed before anything is settled
	clear(f.trials)
	f.mu.Unlock()
	f.claimFirst(ctx)
	f.run(ctx)
	f.mu.Lock()
	f.leading = false
	f.mu.Unlock()
}

// claimFirst claims the inbox before the feed is asked from where it was left; should it fail, the first batch does it.
func (f *follower) claimFirst(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.reload(ctx, 0); err != nil && ctx.Err() == nil {
		f.options.Log.WarnContext(ctx, "consumer could not read its inbox yet", "consumer", f.Name, "err", err)
	}
}

// standBy keeps the mark of a process that does not deliver.
func (f *follower) standBy(ctx context.Context) {
	timer := f.options.Clock.NewTimer(0)
	defer timer.Stop()
	looked := f.options.Clock.Now()
	for {
		var elsewhere <-chan struct{}
		if f.asked.Load() > 0 {
			_, elsewhere = f.Store.Elsewhere()
		}
		select {
		case <-ctx.Done():
			return
		case <-f.look:
		case <-elsewhere:
			if f.options.Clock.Now().Sub(looked) < glanceMin {
				timer.Reset(glanceMin)
				continue
			}
		case <-timer.C():
		}
		looked = f.options.Clock.Now()
		if err := f.glance(ctx); err != nil && ctx.Err() == nil {
			f.options.Log.WarnContext(ctx, "consumer cannot see how far it has come", "consumer", f.Name, "err", err)
		}
		timer.Reset(f.untilGlance())
	}
}

func (f *follower) untilGlance() time.Duration {
	if f.asked.Load() > 0 {
		return glanceBusy
	}
	return glanceIdle
}

// glance sets the mark, and the figures, to what the one that delivers has come to.
func (f *follower) glance(ctx context.Context) error {
	in, leading, err := f.lookup(ctx)
	if err != nil || leading {
		return err // who leads knows better
	}
	in, oldest, err := f.passOver(ctx, in)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.leading {
		f.mark.Set(max(in.low, f.mark.Position()))
		f.waiting.Store(oldest)
	}
	return nil
}

// lookup reads what is kept, at a moment when no letter is being ended here, unless this process leads.
func (f *follower) lookup(ctx context.Context) (in inbox, leading bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leading {
		return in, true, nil
	}
	kept, err := f.replicas.Look(ctx)
	if err != nil {
		return in, false, err
	}
	f.remember(kept)
	return inboxOf(kept), false, nil
}

// passOver settles what is of no interest above a mark, which the one that delivers does not store for it alone. It
// tells the time of the oldest record that is not settled, 0 if there is none.
func (f *follower) passOver(ctx context.Context, in inbox) (inbox, int64, error) {
	for in.low < f.feed.Head() {
		events, err := f.feed.After(ctx, in.low, f.options.BatchMax)
		if err != nil {
			return in, 0, err
		}
		if !slices.IsSortedFunc(events, byPosition) {
			events = slices.SortedFunc(slices.Values(events), byPosition)
		}
		before := in.low
		for i := range events {
			if events[i].Position == in.low+1 && !f.hears(events[i].Type) {
				in.settle(events[i].Position, false)
			}
		}
		if in.low == before {
			return in, oldestAbove(events, in.low), nil
		}
	}
	return in, 0, nil
}

func oldestAbove(events []Event, low int64) int64 {
	for i := range events {
		if events[i].Position > low {
			return events[i].Time.UnixMicro()
		}
	}
	return 0
}

// watched has the mark looked at often while somebody waits for it; the returned function ends that.
func (f *follower) watched() (done func()) {
	if !f.shared() {
		return func() {}
	}
	f.asked.Add(1)
	select {
	case f.look <- struct{}{}:
	default: // it is about to look
	}
	return func() { f.asked.Add(-1) }
}

// fresh has this process see how far the consumer has come by now, whoever delivers.
func (f *follower) fresh(ctx context.Context) error {
	if !f.shared() || f.feed == nil {
		return nil
	}
	return f.glance(ctx)
}

// Claim raises the epoch and reads, behind the fence of the lease.
func (k sqlKeeper) Claim(ctx context.Context, holder int64) (kept Kept, err error) {
	err = k.f.Store.Update(ctx, func(tx sqlstore.Tx) error {
		if err := lease.Fence(tx, k.f.leaseName(), holder); err != nil {
			return err
		}
		if err := k.raise(tx); err != nil {
			return err
		}
		kept, err = k.read(tx)
		return err
	})
	return kept, err
}

// raise has whoever read the inbox before read it again.
func (k sqlKeeper) raise(tx sqlstore.Tx) error {
	if !k.f.shared() {
		return nil
	}
	_, err := tx.Exec(`UPDATE bus_inbox SET epoch = epoch + 1 WHERE consumer = ? AND source = ?`, k.f.Name, k.f.Source)
	return err
}

// Look reads.
func (k sqlKeeper) Look(ctx context.Context) (kept Kept, err error) {
	err = k.f.Store.View(ctx, func(tx sqlstore.Tx) error {
		kept, err = k.read(tx)
		return err
	})
	return kept, err
}

// lost says that somebody else delivers now, which is no failure.
func lost(err error) bool { return errors.Is(err, lease.ErrLost) }
