package pgstore

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// lookEvery is how long a listener waits for news before it has everybody look for themselves: news can be lost, for they
// are sent after the commit.
const lookEvery = time.Second

// channel is where the processes of a room tell each other news.
func (d *database) channel() string { return "souk_" + d.schema }

// listener hears what other processes announce, on a connection of its own, from the first listen on.
type listener struct {
	d       *database
	ctx     context.Context // ends with the store
	stop    context.CancelFunc
	started sync.Once
	done    sync.WaitGroup
	mu      sync.Mutex // guards hearers
	hearers []func(news int64)
	heard   []int64 // come in and not told yet; the listener's goroutine alone uses it
}

func newListener(d *database) *listener {
	l := &listener{d: d}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

func (l *listener) listen(hear func(news int64)) {
	l.mu.Lock()
	l.hearers = append(l.hearers, hear)
	l.mu.Unlock()
	l.started.Do(func() { l.done.Go(l.run) })
}

// run goes on with a new connection whenever one is lost, and tells all to look in between.
func (l *listener) run() {
	for l.ctx.Err() == nil {
		err := l.hear()
		if l.ctx.Err() != nil {
			return
		}
		l.d.log.Warn("news of other processes are not heard; they are looked for", "store", l.d.schema, "error", err)
		l.tell(0)
		select {
		case <-l.ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}

// hear listens on one connection until it is lost.
func (l *listener) hear() error {
	raw, err := l.d.dial(l.ctx, listens, l.take)
	if err != nil {
		return err
	}
	defer l.hangUp(raw)
	if err := raw.Exec(l.ctx, "LISTEN "+quoted(l.d.channel())).Close(); err != nil {
		return err
	}
	l.tell(0) // what was said before we listened
	for {
		if err := l.wait(raw); err != nil {
			return err
		}
		if len(l.heard) == 0 {
			l.tell(0)
		}
		for _, news := range l.heard {
			l.tell(news)
		}
		l.heard = l.heard[:0]
	}
}

// take keeps what has come in. What is no number, somebody else has said: then everybody looks.
func (l *listener) take(_ *pgconn.PgConn, n *pgconn.Notification) {
	news, err := strconv.ParseInt(n.Payload, 10, 64)
	if err != nil {
		news = 0
	}
	l.heard = append(l.heard, news)
}

// wait returns with news in heard, or after lookEvery without. The server is asked then whether it is still there.
func (l *listener) wait(raw *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(l.ctx, lookEvery)
	defer cancel()
	err := raw.WaitForNotification(ctx)
	if err == nil || ctx.Err() == nil || l.ctx.Err() != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(l.ctx, answerTimeout)
	defer cancel()
	return raw.Ping(ctx)
}

func (l *listener) hangUp(raw *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = raw.Close(ctx) // it only fails to say good-bye
	select {
	case <-raw.CleanupDone():
	case <-ctx.Done():
	}
	l.d.connections.Dec()
}

func (l *listener) tell(news int64) {
	l.mu.Lock()
	hearers := l.hearers
	l.mu.Unlock()
	for _, hear := range hearers {
		hear(news)
	}
}

func (l *listener) close() error {
	l.stop()
	l.done.Wait()
	return nil
}
