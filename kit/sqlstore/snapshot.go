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
func (d *grouped) Snapshot(ctx context.Context, fn func(Tx) error) error {
	if err := d.readers.enter(); err != nil {
		return err
	}
	defer d.readers.long.Done()
	c, err := d.long(ctx)
	if err != nil {
		return unavailable(d.name, err)
	}
	t := &tx{ctx: ctx, conn: c}
	defer func() {
		t.end()
		_ = c.Close() // it only read
	}()
	if err := begin(t); err != nil {
		return unavailable(d.name, err)
	}
	if err = fn(t); err != nil && t.fatal != nil {
		return unavailable(d.name, err)
	}
	return err
}

// begin takes the snapshot at once; BeginView leaves that to the first statement. Only one that reads a table does.
func begin(t *tx) error {
	if err := t.conn.BeginView(); err != nil {
		return err
	}
	var migrations int
	return t.QueryRow("SELECT COUNT(*) FROM schema_migrations").Scan(&migrations)
}

// enter counts a long reading, unless the store has closed.
func (p *readers) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gone:
		return ErrClosed
	default:
		p.long.Add(1)
		return nil
	}
}
