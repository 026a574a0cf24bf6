package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrFence answers who relies on a fence that does not stand any more.
var ErrFence = errors.New("the fence does not stand any more")

// Fence holds every update of a store: those under way have ended, others wait for its end, or for that of their
// context, and see no error. Views go on.
type Fence struct {
	store *Store
	mu    sync.Mutex
	timer *time.Timer
	held  bool
}

// Fence waits until the updates under way have ended and holds all others, for at most so long: then it falls of itself,
// so that nobody who forgets it, or hangs, stops the store. A store has one fence at a time; a second one waits.
func (s *Store) Fence(ctx context.Context, most time.Duration) (*Fence, error) {
	if err := s.updates.shut(ctx); err != nil {
		return nil, fmt.Errorf("fence store %s: %w", s.name, err)
	}
	f := &Fence{store: s, held: true}
	f.mu.Lock() // it may fall before it is handed out
	defer f.mu.Unlock()
	f.timer = time.AfterFunc(most, f.Release)
	return f, nil
}

// Held reports whether the fence has stood without a break until now.
func (f *Fence) Held() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}

// Keep makes the fence stand until Release, however long that takes; it fails when the fence has fallen.
func (f *Fence) Keep() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.held {
		return ErrFence
	}
	f.timer.Stop()
	return nil
}

// Update is Store.Update for the one who holds the fence.
func (f *Fence) Update(ctx context.Context, fn func(Tx) error) error {
	if !f.Held() {
		return ErrFence
	}
	return f.store.beneath().Update(ctx, fn)
}

// Swap exchanges what lies beneath two stores: whoever uses the fenced one goes on with the other's database, and the
// other has the former one, in which views may still be at work; close it when it is of no more use. Both hold the same
// rows, or what callers remember is wrong.
func (f *Fence) Swap(other *Store) error {
	if err := f.Keep(); err != nil {
		return err
	}
	former, next := f.store.lies.Load(), other.lies.Load()
	show(former.Driver, false)
	show(next.Driver, true)
	f.store.lies.Store(next)
	other.lies.Store(former)
	return nil
}

// Release lets the updates go on; more than once is fine.
func (f *Fence) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held {
		f.held = false
		f.timer.Stop()
		f.store.updates.open()
	}
}

// Shown is a driver with metrics under its store's name, of which a registry shows one at a time.
type Shown interface {
	Show(whether bool)
}

func show(d Driver, whether bool) {
	if s, ok := d.(Shown); ok {
		s.Show(whether)
	}
}

// gate lets callers in and out, until it is shut.
type gate struct {
	mu     sync.Mutex
	inside int
	opened chan struct{} // closed when a shut gate opens; nil while it is open
	empty  chan struct{} // closed when the last one leaves a shut gate
}

func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		opened := g.opened
		if opened == nil {
			g.inside++
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		if err := wait(ctx, opened); err != nil {
			return err
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// shut keeps everybody out and waits until all have left; when ctx ends first, the gate is open again.
func (g *gate) shut(ctx context.Context) error {
	left, err := g.close(ctx)
	if err != nil {
		return err
	}
	if err := wait(ctx, left); err != nil {
		g.open()
		return err
	}
	return nil
}

// close shuts an open gate; the channel is closed when all have left.
func (g *gate) close(ctx context.Context) (left <-chan struct{}, err error) {
	for {
		g.mu.Lock()
		opened := g.opened
		if opened == nil {
			defer g.mu.Unlock()
			g.opened, g.empty = make(chan struct{}), make(chan struct{})
			left = g.empty
			if g.inside == 0 {
				close(g.empty)
				g.empty = nil
			}
			return left, nil
		}
		g.mu.Unlock()
		if err := wait(ctx, opened); err != nil {
			return nil, err
		}
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
	g.opened, g.empty = nil, nil
}

func wait(ctx context.Context, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
