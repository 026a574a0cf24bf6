package sqlstore

import (
	"context"
	"sync"
)

// readers are the connections for View, opened when they are needed and used again last in, first out, so that a quiet
// store holds few.
type readers struct {
	path  string
	slots chan struct{} // one for each View that may run
	gone  chan struct{}
	once  sync.Once
	mu    sync.Mutex
	idle  []*conn
	long  sync.WaitGroup // those of Snapshot, which have no slot
}

func newReaders(path string, n int) *readers {
	return &readers{path: path, slots: make(chan struct{}, n), gone: make(chan struct{})}
}

// view runs fn on a connection of its own. The snapshot is taken by the first statement.
func (p *readers) view(ctx context.Context, store string, fn func(Tx) error) error {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	t := &tx{ctx: ctx, conn: c}
	defer func() {
		t.end()
		p.give(c, c.run("COMMIT"))
	}()
	if err := c.run("BEGIN"); err != nil {
		return unavailable(store, err)
	}
	if err = fn(t); err != nil && t.fatal != nil {
		return unavailable(store, err)
	}
	return err
}

func (p *readers) take(ctx context.Context) (*conn, error) {
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
	c, err := p.pop()
	if err != nil {
		<-p.slots
	}
	return c, err
}

func (p *readers) pop() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c, nil
	}
	return openConn(p.path, cacheKiB(readerCacheKiB), pragma{"query_only", "ON"})
}

// give takes a connection back, unless its transaction would not end.
func (p *readers) give(c *conn, broken error) {
	defer func() { <-p.slots }()
	if broken != nil {
		_ = c.close()
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
			err = c.close()
		}
	})
	return err
}
