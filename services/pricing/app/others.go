package app

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// others is what memory knows of the commits of other processes. A price that one of them has changed holds at once: each
// quote asks the store how far its log has come, and forgets what is older. Channels and tax rates, which are no events,
// are quoted as they were for as long as the news of a change is under way: a moment, and a second when it was lost.
type others struct {
	heard   atomic.Uint64 // Store.Elsewhere when all in memory was last known to be new
	seen    atomic.Int64  // the end of the log then
	mu      sync.Mutex    // one at a time reads anew
	changes uint64        // of settings by this process, which a reading begun before must not undo
}

// keep has settings hold that this process has just committed or read.
func (o *others) keep(at *atomic.Pointer[settings], now *settings) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changes++
	at.Store(now)
}

// keepRead has settings hold that were read, unless this process has changed them since.
func (o *others) keepRead(at *atomic.Pointer[settings], read *settings, changes uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if changes == o.changes {
		at.Store(read)
	}
	return changes == o.changes
}

func (o *others) changesNow() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changes
}

// current is the settings, read anew when another process may have changed them; then prices are forgotten as well.
func (a *App) current(ctx context.Context) (*settings, error) {
	count, _ := a.Store.Elsewhere()
	head, err := a.Log.HeadNow(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask how far the log has come: %w", err)
	}
	if !a.Store.Shared() || count == a.others.heard.Load() && head == a.others.seen.Load() {
		return a.settings.Load(), nil
	}
	changes := a.others.changesNow()
	a.prices.clear()
	read, err := a.stored(ctx)
	if err != nil {
		return nil, err
	}
	if a.others.keepRead(&a.settings, read, changes) {
		a.others.heard.Store(count)
		a.others.seen.Store(head)
	}
	return a.settings.Load(), nil
}

// stored is the settings as they are by now, for whoever lists them and may have changed them elsewhere.
func (a *App) stored(ctx context.Context) (read *settings, err error) {
	if !a.Store.Shared() {
		return a.settings.Load(), nil
	}
	err = a.view(ctx, func(r rows) error {
		read, err = r.settings()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read channels and tax rates: %w", err)
	}
	return read, nil
}
