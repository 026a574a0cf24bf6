package pgstore

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// lookEvery is how often a listener has everybody look for themselves: news can be lost, for they are sent after the
// commit.
const lookEvery = time.Second

// notify tells the listeners of a channel something, in a transaction of its own that need not be durable: who crashes
// now and who comes later look for themselves.
const notify = "SELECT pg_notify($1, $2), set_config('synchronous_commit', 'off', true)"

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
	heard   []int64   // come in and not told yet; the listener's goroutine alone uses it
	greeted time.Time // when it last said that it is there; used likewise
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
	l.d.others.unknown()
	defer l.d.others.unknown()
	raw, err := l.d.dial(l.ctx, listens, l.take)
	if err != nil {
		return err
	}
	defer l.hangUp(raw)
	if err := raw.Exec(l.ctx, "LISTEN "+quoted(l.d.channel())).Close(); err != nil {
		return err
	}
	l.d.others.heard()
	for {
		// Whoever has just come, or has heard nothing for a while, looks for what was said meanwhile. The greeting is sent
		// before the look, so that what is committed after the look is announced.
		if time.Since(l.greeted) >= lookEvery {
			if err := l.greet(raw); err != nil {
				return err
			}
			l.tell(0)
		}
		if err := l.wait(raw); err != nil {
			return err
		}
		for _, news := range l.heard {
			l.tell(news)
		}
		l.heard = l.heard[:0]
	}
}

// take keeps what has come in. What is no number, somebody else has said: then everybody looks.
func (l *listener) take(_ *pgconn.PgConn, n *pgconn.Notification) {
	if l.d.others.greeted(n.Payload, l.d.me) {
		return
	}
	news, err := strconv.ParseInt(n.Payload, 10, 64)
	if err != nil {
		news = 0
	}
	l.heard = append(l.heard, news)
}

// greet says that somebody listens here, by which the server also shows that it is still there.
func (l *listener) greet(raw *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(l.ctx, answerTimeout)
	defer cancel()
	err := raw.ExecParams(ctx, notify, [][]byte{[]byte(l.d.channel()), []byte(hello + l.d.me)}, nil, nil, nil).Read().Err
	l.greeted = time.Now()
	return err
}

// wait returns with news in heard, or when it is time to say again that somebody listens.
func (l *listener) wait(raw *pgconn.PgConn) error {
	for {
		ctx, cancel := context.WithDeadline(l.ctx, l.greeted.Add(lookEvery))
		err := raw.WaitForNotification(ctx)
		late := ctx.Err() != nil && l.ctx.Err() == nil
		cancel()
		if err != nil && !late {
			return err
		}
		if late || len(l.heard) > 0 {
			return nil
		}
	}
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

// last tells whether this process committed last.
func (d *database) last(tx sqlstore.Tx) (ours bool, err error) {
	var holder string
	err = tx.QueryRow(`SELECT holder FROM souk_writer`).Scan(&holder)
	return holder == d.me, err
}
