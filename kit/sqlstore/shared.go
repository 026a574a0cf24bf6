package sqlstore

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Sharing is a Driver of a database that other processes may write at the same time. A Driver that is none has its
// database to itself.
type Sharing interface {
	Driver
	// Elsewhere is Store.Elsewhere.
	Elsewhere() (commits uint64, next <-chan struct{})
}

// Shared reports whether other processes may write this database. Where they may not, whatever this process has read or
// committed stays true until it commits again, and may be kept in memory.
func (s *Store) Shared() bool { return s.lies.Load().others != nil }

// Elsewhere counts what other processes have committed, as far as it is known here, and gives a channel that is closed
// when that count rises. It is a hint to look again: it comes a moment after the commit, one hint may stand for many
// commits, and some stand for none. Nobody else writes a store that is not shared: its count stays 0, and its channel is
// nil, which blocks for ever.
func (s *Store) Elsewhere() (commits uint64, next <-chan struct{}) {
	others := s.lies.Load().others
	if others == nil {
		return 0, nil
	}
	return others.Elsewhere()
}

// othersOf is the driver, if it is one whose database others write.
func othersOf(d Driver) Sharing {
	others, _ := d.(Sharing)
	return others
}

// Bell is a count whose rising can be waited for, with which a driver tells of the commits of others. The zero value
// stands at 0.
type Bell struct {
	mu    sync.Mutex
	count uint64
	next  chan struct{}
}

// Ring raises the count and wakes all who wait.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// Elsewhere is the count, and a channel that is closed at the next Ring.
func (b *Bell) Elsewhere() (count uint64, next <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.count, b.next
}

// sharedPoll is how often a shared file is asked whether another connection has changed it.
const sharedPoll = 10 * time.Millisecond

// sharedFile is a SQLite file that more than one Store has open.
type sharedFile struct {
	*sqliteDriver
	Bell
	conn *conn
	stop chan struct{}
	gone chan struct{}
	once sync.Once
}

// shareFile begins to watch for what others commit.
func shareFile(path string, d *sqliteDriver) (*sharedFile, error) {
	c, err := openConn(path, cacheKiB(readerCacheKiB), pragma{"query_only", "ON"})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.writer.shared = true
	f := &sharedFile{sqliteDriver: d, conn: c, stop: make(chan struct{}), gone: make(chan struct{})}
	go f.listen()
	return f, nil
}

// listen rings when the file has been changed; a change of our own is a hint too many, which costs little.
func (f *sharedFile) listen() {
	defer close(f.gone)
	ticker := time.NewTicker(sharedPoll)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-f.stop:
			return
		case <-ticker.C:
		}
		// A file that cannot be read is worth a look as well: whoever is woken hears why.
		version, err := f.conn.readPragma("data_version")
		if now := fmt.Sprint(version, err); now != last {
			last = now
			f.Ring()
		}
	}
}

// Close ends the watch, then the store.
func (f *sharedFile) Close() error {
	var err error
	f.once.Do(func() {
		close(f.stop)
		<-f.gone
		err = f.conn.close()
	})
	return errors.Join(err, f.sqliteDriver.Close())
}
