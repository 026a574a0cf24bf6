package sqlstore

import (
	"context"
	"fmt"
)

// Snapshotter is a driver that gives long readings a connection of their own, so that they keep none from the Views.
type Snapshotter interface {
	// Snapshot is View, on a snapshot that is taken before fn begins.
	Snapshot(ctx context.Context, fn func(Tx) error) error
}

// Snapshot is View for a reading that takes long, such as a copy of everything: the snapshot is taken before fn begins,
// which may last for hours, and keeps no connection from others.
func (s *Store) Snapshot(ctx context.Context, fn func(Tx) error) error {
	refuseNested(ctx, s.name, "Snapshot")
	d := s.beneath()
	if long, ok := d.(Snapshotter); ok {
		return long.Snapshot(ctx, fn)
	}
	return d.View(ctx, func(tx Tx) error {
		var one int // a first statement takes the snapshot
		if err := tx.QueryRow("SELECT 1").Scan(&one); err != nil {
			return fmt.Errorf("begin a snapshot of store %s: %w", s.name, err)
		}
		return fn(tx)
	})
}

// Snapshot reads on a connection that is opened for it.
func (d *sqliteDriver) Snapshot(ctx context.Context, fn func(Tx) error) error {
	c, err := d.readers.extra()
	if err != nil {
		return err
	}
	t := &tx{ctx: ctx, conn: c}
	defer func() {
		t.end()
		_ = c.close() // it only read
		d.readers.long.Done()
	}()
	if err := c.begin(); err != nil {
		return unavailable(d.name, err)
	}
	if err = fn(t); err != nil && t.fatal != nil {
		return unavailable(d.name, err)
	}
	return err
}

// begin takes a snapshot at once; BEGIN alone leaves that to the first statement.
func (c *conn) begin() error {
	if err := c.run("BEGIN"); err != nil {
		return err
	}
	_, err := c.readPragma("schema_version")
	return err
}

// extra is a connection beyond the slots; long waits for it.
func (p *readers) extra() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gone:
		return nil, ErrClosed
	default:
	}
	c, err := openConn(p.path, cacheKiB(readerCacheKiB), pragma{"query_only", "ON"})
	if err == nil {
		p.long.Add(1)
	}
	return c, err
}
