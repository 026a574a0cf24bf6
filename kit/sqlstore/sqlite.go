package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// sqliteDriver is one SQLite file: a writer, a checkpointer and readers.
type sqliteDriver struct {
	name       string
	writer     *writer
	checkpoint *checkpointer
	readers    *readers
	closing    sync.Once
	closed     error
}

func openSQLite(ctx context.Context, path string, o Options) (*sqliteDriver, error) {
	if err := create(path); err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Name, path, o.Registerer)
	if err != nil {
		return nil, err
	}
	c, err := openWriteConn(path, cacheKiB(writerCacheKiB))
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, c, o.Schemas); err != nil {
		return nil, errors.Join(err, c.close())
	}
	d, err := startSQLite(c, path, m, o)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return d, nil
}

// stores counts the writers of this process: each counts Undone from a number that no other reaches, so that what was
// learnt from one is not taken for another's.
var stores atomic.Uint64

const undoneBits = 40

func startSQLite(c *conn, path string, m *metrics, o Options) (*sqliteDriver, error) {
	w := &writer{
		conn: c, name: o.Name, log: o.Log, metrics: m, batchMax: o.BatchMax,
		queue: make(chan *request, o.QueueMax), stop: make(chan struct{}), gone: make(chan struct{}),
		patience: time.NewTimer(gatherTime), undone: stores.Add(1) << undoneBits,
	}
	hold := func() func() { w.quiet.Lock(); return w.quiet.Unlock }
	k, err := newCheckpointer(path, o.Log, hold)
	if err != nil {
		return nil, err
	}
	if err := syncFolder(path); err != nil {
		return nil, errors.Join(err, k.conn.close())
	}
	w.grew = k.grew
	go k.loop()
	go w.loop()
	return &sqliteDriver{name: o.Name, writer: w, checkpoint: k, readers: newReaders(path, o.Readers)}, nil
}

// create makes the file for its owner's eyes only; SQLite gives the log the same rights.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return f.Close()
}

// syncFolder makes the file's own name durable, which a commit does not.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

func (d *sqliteDriver) View(ctx context.Context, fn func(Tx) error) error {
	return d.readers.view(ctx, d.name, fn)
}

func (d *sqliteDriver) Update(ctx context.Context, fn func(Tx) error) error {
	return d.writer.update(ctx, fn)
}

// Show shows or hides the metrics.
func (d *sqliteDriver) Show(whether bool) { d.writer.metrics.show(whether) }

// Close lets the queued updates and the running views end. The last connection to close empties the log.
func (d *sqliteDriver) Close() error {
	d.closing.Do(func() {
		close(d.writer.stop)
		<-d.writer.gone
		d.writer.metrics.unregister()
		d.closed = errors.Join(d.readers.close(), d.checkpoint.close(), d.writer.conn.close())
	})
	return d.closed
}
