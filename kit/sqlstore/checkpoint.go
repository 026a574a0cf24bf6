package sqlstore

import (
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
)

// Bounds of the write-ahead log, in pages.
const (
	pageSize        = 4096
	checkpointPages = 1000 // grown by so many, the log is copied into the database and may start again at its beginning
	restartPages    = 8000 // longer than this, because views were always reading in it, the writer is held until they have left
)

// checkpointer copies the log into the database on a connection of its own, so that hardly a commit waits for it.
type checkpointer struct {
	conn  *conn
	log   *slog.Logger
	quiet *sync.Mutex // held by the writer during a transaction; holding it keeps the writer out
	grown atomic.Int64
	nudge chan struct{}
	done  chan struct{}
}

func newCheckpointer(path string, log *slog.Logger, quiet *sync.Mutex) (*checkpointer, error) {
	c, err := openWriteConn(path, cacheKiB(readerCacheKiB),
		pragma{"busy_timeout", "20"}, // the longest that a reader may keep the writer out in restart
		pragma{"journal_size_limit", strconv.Itoa(restartPages * pageSize)})
	if err != nil {
		return nil, err
	}
	return &checkpointer{conn: c, log: log, quiet: quiet, nudge: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

// grew is told after each commit and never waits.
func (k *checkpointer) grew(pages int) {
	if k.grown.Add(int64(pages)) < checkpointPages {
		return
	}
	k.grown.Store(0)
	select {
	case k.nudge <- struct{}{}:
	default: // it is at work already
	}
}

func (k *checkpointer) loop() {
	defer close(k.done)
	for range k.nudge {
		if err := k.shorten(); err != nil {
			k.log.Warn("checkpoint failed; the log grows until one succeeds", "error", err)
		}
	}
}

// shorten copies most of the log beside the writing, then the rest while the writer is held: only a log that has been
// copied whole starts again at its beginning, by the next commit that finds no view reading in it. A commit that writes
// over an old log costs half of one that lengthens the file.
func (k *checkpointer) shorten() error {
	length, err := k.checkpoint("PASSIVE")
	if err != nil || length < checkpointPages {
		return err
	}
	k.quiet.Lock()
	defer k.quiet.Unlock()
	if length < restartPages {
		_, err = k.checkpoint("PASSIVE")
	} else {
		_, err = k.checkpoint("RESTART")
	}
	return err
}

// checkpoint tells how long the log is. That a reader keeps some of it in use is no error.
func (k *checkpointer) checkpoint(mode string) (pages int64, err error) {
	row, err := k.conn.readPragma("wal_checkpoint(" + mode + ")")
	if err != nil || len(row) < 2 {
		return 0, err
	}
	pages, _ = row[1].(int64)
	return pages, nil
}

func (k *checkpointer) close() error {
	close(k.nudge)
	<-k.done
	return k.conn.Close()
}
