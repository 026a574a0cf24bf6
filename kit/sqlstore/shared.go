package sqlstore

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Shared reports whether other processes may write this database. Where they may not, whatever this process has read or
// committed stays true until it commits again, and may be kept in memory. It stays as it was when the store was opened:
// what a process has begun alone it goes on with alone, also where a Swap has put a database beneath that others could
// write, until it starts anew.
func (s *Store) Shared() bool { return s.shared }

// Elsewhere counts the commits of other processes, as far as they are known here, and gives a channel that is closed when
// that count rises. It is a hint to look again: it comes a moment after the commit of whoever Announces or Hints, else within
// a second or so; one hint may stand for many commits, and some for none. Nobody else writes a store that is not shared: its count stays 0, and its channel is nil,
// which blocks for ever.
func (s *Store) Elsewhere() (count uint64, next <-chan struct{}) {
	beneath := s.lies.Load()
	if !s.shared || beneath.listen == nil {
		return 0, nil
	}
	return beneath.bell.Elsewhere()
}

// sharedRest is how long a loop rests at most that others may have given something to do.
const sharedRest = time.Second

// RestAtMost is how long a loop may sleep that is woken by what this process commits: as long as it likes, or a second
// when other processes may commit something for it to do.
func (s *Store) RestAtMost(most time.Duration) time.Duration {
	if s.Shared() {
		return min(most, sharedRest)
	}
	return most
}

// lastMax bounds a look at who committed last.
const lastMax = 5 * time.Second

// heard rings when another process has committed, or may have.
func (s *Store) heard(beneath *base, b Backend, news int64) {
	if news == 0 && b.Last != nil {
		ctx, cancel := context.WithTimeout(context.Background(), lastMax)
		defer cancel()
		var ours bool
		err := beneath.View(ctx, func(tx Tx) (err error) {
			ours, err = b.Last(tx)
			return err
		})
		if err == nil && ours {
			return
		}
	}
	beneath.bell.Ring()
}

// Listen has hear told what other processes Announce, until the store closes: at once as a rule. Because news can be
// lost, hear is also called with 0 every second or so without any, and should then look for itself. It is called by one
// goroutine, which it may keep busy. A database that no other process can write never calls it.
func (s *Store) Listen(hear func(news int64)) {
	if beneath := s.lies.Load(); s.shared && beneath.listen != nil {
		beneath.listen(hear)
	}
}

// Bell is a count whose rising can be waited for. The zero value stands at 0.
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

// fileWatch sees when a SQLite file that more than one Store has open is changed, and has everybody look.
type fileWatch struct {
	conn    *conn
	mu      sync.Mutex // guards hearers
	hearers []func(news int64)
	stop    chan struct{}
	gone    chan struct{}
}

func watchFile(path string) (*fileWatch, error) {
	c, err := openReadConn(path)
	if err != nil {
		return nil, err
	}
	w := &fileWatch{conn: c, stop: make(chan struct{}), gone: make(chan struct{})}
	go w.run()
	return w, nil
}

func (w *fileWatch) listen(hear func(news int64)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hearers = append(w.hearers, hear)
}

// run tells of every change; one of our own is a hint too many, which costs little.
func (w *fileWatch) run() {
	defer close(w.gone)
	ticker := time.NewTicker(sharedPoll)
	defer ticker.Stop()
	last := ""
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		if now := w.conn.version(); now != last {
			last = now
			w.tell()
		}
	}
}

// version changes whenever another connection has committed. A file that cannot be read is worth a look as well: whoever
// is woken hears why.
func (c *conn) version() string {
	version, err := c.readPragma("data_version")
	return fmt.Sprint(version, err)
}

func (w *fileWatch) tell() {
	w.mu.Lock()
	hearers := w.hearers
	w.mu.Unlock()
	for _, hear := range hearers {
		hear(0)
	}
}

func (w *fileWatch) close() error {
	close(w.stop)
	<-w.gone
	return w.conn.Close()
}
