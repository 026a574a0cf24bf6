package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// openSQLite opens a file: a writer, a checkpointer and readers.
func openSQLite(ctx context.Context, path string, o Options) (*Store, error) {
	c, err := openMigrated(ctx, path, o.Schemas)
	if err != nil {
		return nil, err
	}
	quiet := &sync.Mutex{}
	k, err := newCheckpointer(path, o.Log, quiet)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.quiet, c.grew = quiet, k.grew
	store, err := startSQLite(c, k, path, o)
	if err != nil {
		return nil, errors.Join(err, k.conn.Close(), c.Close())
	}
	go k.loop()
	return store, nil
}

func openMigrated(ctx context.Context, path string, schemas []Schema) (*conn, error) {
	if err := create(path); err != nil {
		return nil, err
	}
	c, err := openWriteConn(path, cacheKiB(writerCacheKiB))
	if err != nil {
		return nil, err
	}
	if err := c.overwriteDeleted(schemas); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, err := MigrateConn(ctx, c, schemas); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// startSQLite: the last connection to close, the checkpointer's, empties the log.
func startSQLite(c *conn, k *checkpointer, path string, o Options) (*Store, error) {
	if err := syncFolder(path); err != nil {
		return nil, err
	}
	b := Backend{
		Writer:  c,
		Reader:  func(context.Context) (Conn, error) { return openReadConn(path) },
		Metrics: []prometheus.Collector{walBytes(path)},
		Close:   k.close,
	}
	if !o.Shared {
		return NewStore(o, b)
	}
	w, err := watchFile(path)
	if err != nil {
		return nil, err
	}
	c.shared, b.Listen = true, w.listen
	b.Close = func() error { return errors.Join(w.close(), k.close()) }
	return NewStore(o, b)
}

func openReadConn(path string) (*conn, error) {
	return openConn(path, cacheKiB(readerCacheKiB), pragma{"query_only", "ON"})
}

// walBytes shows the size of the write-ahead log.
func walBytes(path string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "souk_sqlstore_wal_bytes", Help: "Size of the write-ahead log's file.",
	}, func() float64 { return float64(fileSize(path + "-wal")) })
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
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
