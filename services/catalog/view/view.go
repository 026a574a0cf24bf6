// Package view is what the shop shows of its catalog: lists and pages with
// price and stock. Products come from the use cases in their own transaction;
// prices and stock follow pricing and inventory, newest revision first come
// or last. The catalog chooses availability: an answer may be Gather and Settle old, and
// one that may be behind by more than StaleAfter says so.
//
//	Placed, Moved ───────────────┐
//	ApplyPrices, ApplyChannel ───┼─▶ rows ─▶ Page, Detail
//	ApplyStock ──────────────────┘    └────▶ ListTag, DetailTag (no query)
package view

import (
	"context"
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Options of a view; the zero value works but for Boot, which must differ from
// one process to the next where answers are cached outside of it.
type Options struct {
	Boot  string               // begins every entity tag
	Clock clock.Clock          // nil: the system's
	Lag   func() time.Duration // of the consumer that is furthest behind; nil: none is
}

// View reads one store.
type View struct {
	store    *sqlstore.Store
	clock    clock.Clock
	lag      func() time.Duration
	versions versions
	variants variants
	stocks   stocks
	stale    atomic.Bool
	staleAt  atomic.Int64  // unix nanoseconds at which stale was found out
	next     atomic.Int64  // unix microseconds at which a price begins or ends to hold; never: MaxInt64
	heard    atomic.Uint64 // of the commits of other processes, as Store.Elsewhere counts them
}

// New makes a view and looks when prices change next. The store has the
// catalog's schema.
func New(ctx context.Context, store *sqlstore.Store, o Options) (*View, error) {
	v := &View{store: store, clock: o.Clock, lag: o.Lag}
	if v.clock == nil {
		v.clock = clock.System{}
	}
	if v.lag == nil {
		v.lag = func() time.Duration { return 0 }
	}
	v.versions.boot, v.versions.seed = o.Boot, maphash.MakeSeed()
	return v, v.schedule(ctx, v.clock.Now())
}

// ListTag is the entity tag of lists as they are now. Take it before the query
// whose answer it is to name.
func (v *View) ListTag() string {
	now := v.turn()
	return v.versions.tag(v.versions.lists.show(now), v.staleAsOf(now))
}

// DetailTag is the entity tag of the product that answers to that id or handle.
func (v *View) DetailTag(key string) string {
	now := v.turn()
	return v.versions.tag(v.versions.product(key).show(now), v.staleAsOf(now))
}

// Stale says that price or stock may be behind by more than StaleAfter.
func (v *View) Stale() bool { return v.staleAsOf(v.clock.Now()) }

// staleAsOf asks for the lag at most once in Settle.
func (v *View) staleAsOf(now time.Time) bool {
	last := v.staleAt.Load()
	if now.UnixNano()-last >= int64(Settle) && v.staleAt.CompareAndSwap(last, now.UnixNano()) {
		v.stale.Store(v.lag() > StaleAfter)
	}
	return v.stale.Load()
}

// turn tells the time and, when an hour has come at which prices change, or
// another process has changed rows, counts that as a change of everything.
func (v *View) turn() time.Time {
	now := v.clock.Now()
	v.heed()
	next := v.next.Load()
	if now.UnixMicro() < next || !v.next.CompareAndSwap(next, math.MaxInt64) {
		return now
	}
	v.versions.all()
	if err := v.schedule(context.Background(), now); err != nil {
		v.soonest(now.Add(time.Second).UnixMicro()) // the rows cannot be read just now: look again
	}
	return now
}

// heed makes all that is remembered old when another process may have changed
// it. A price that it stored may also begin to hold at an earlier hour.
func (v *View) heed() {
	count, _ := v.store.Elsewhere()
	if v.heard.Load() == count || v.heard.Swap(count) == count {
		return
	}
	v.variants.changes.Add(1)
	v.soonest(v.clock.Now().UnixMicro())
}

// schedule looks up the next hour at which a price begins or ends to hold.
func (v *View) schedule(ctx context.Context, now time.Time) error {
	v.soonest(math.MaxInt64)
	return v.store.View(ctx, func(tx sqlstore.Tx) error {
		for _, query := range []string{
			`SELECT MIN(valid_from) FROM prices WHERE valid_from > ?`,
			`SELECT MIN(valid_until) FROM prices WHERE valid_until > ?`,
		} {
			var at *int64
			if err := tx.QueryRow(query, now.UnixMicro()).Scan(&at); err != nil {
				return err
			}
			if at != nil {
				v.soonest(*at)
			}
		}
		return nil
	})
}

// soonest lowers the next hour to at; one that was never set counts as never.
func (v *View) soonest(at int64) {
	for {
		next := v.next.Load()
		if next != 0 && next <= at || v.next.CompareAndSwap(next, at) {
			return
		}
	}
}
