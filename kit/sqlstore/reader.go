package sqlstore

import (
	"context"
	"errors"
	"sync"
)

// readers are the connections for View, opened when they are needed and used again last in, first out, so that a quiet
// store holds few.
type readers struct {
	open  func(context.Context) (Conn, error)
	slots chan struct{} // one for each View that may run
	gone  chan struct{}
	once  sync.Once
	mu    sync.Mutex
	idle  []Conn
	long  sync.WaitGroup // those of Snapshot, which have no slot
}

func newReaders(open func(context.Context) (Conn, error), n int) *readers {
	return &readers{open: open, slots: make(chan struct{}, n), gone: make(chan struct{})}
}

// view runs fn on a connection of its own. The snapshot is taken by the first statement, which may be said to be the only
// one.
func (p *readers) view(ctx context.Context, store string, glance bool, fn func(Tx) error) error {
	c, err := p.take(ctx, store)
	if err != nil {
		return err
	}
	t, begin := &tx{ctx: ctx, conn: c, glance: glance}, c.BeginView
	if glance {
		begin = c.BeginGlance
	}
	defer func() {
		t.end()
		p.give(c, c.Rollback())
	}()
	if err := begin(); err != nil {
		return unavailable(store, err)
	}
	if err = fn(t); err != nil && t.fatal != nil {
		return unavailable(store, err)
	}
	return err
}

func (p *readers) take(ctx context.Context, store string) (Conn, error) {
	select {
	case <-p.gone: // a select chooses at random among what is ready
		return nil, ErrClosed
	default:
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.gone:
		return nil, ErrClosed
	}
	if c := p.pop(); c != nil {
		return c, nil
	}
	c, err := p.open(ctx)
	if err == nil {
		return c, nil
	}
	<-p.slots
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, unavailable(store, err)
}

func (p *readers) pop() Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return c
}

// give takes a connection back, unless its transaction would not end.
func (p *readers) give(c Conn, broken error) {
	defer func() { <-p.slots }()
	if broken != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
}

// close waits for the Views that are running.
func (p *readers) close() (err error) {
	p.once.Do(func() {
		p.mu.Lock()
		close(p.gone)
		p.mu.Unlock()
		p.long.Wait()
		for range cap(p.slots) {
			p.slots <- struct{}{}
		}
		for _, c := range p.idle {
			err = errors.Join(err, c.Close())
		}
	})
	return err
}
