package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	stream     = "BARE"
	subject    = "bare.events"
	pendingMax = 4000             // publications that are not acknowledged
	ackMax     = 10 * time.Second // for the last of them
	table      = `CREATE TABLE IF NOT EXISTS bare (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream TEXT NOT NULL, data BYTEA NOT NULL)`
	insert     = `INSERT INTO bare (stream, data) VALUES ($1, $2)`
)

// work is the engines, and what was done.
type work struct {
	order
	js       jetstream.JetStream
	data     []byte
	from, to time.Time

	done, commits, published atomic.Int64
	mu                       sync.Mutex
	micros                   []int64
}

// run prepares the engines, lets the clients work, and waits for the broker to have taken everything.
func run(ctx context.Context, o order) (*Result, error) {
	nc, err := nats.Connect(o.NATS)
	if err != nil {
		return nil, fmt.Errorf("join the broker: %w", err)
	}
	defer nc.Close()
	w := &work{order: o, data: make([]byte, o.Bytes)}
	if w.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(pendingMax)); err != nil {
		return nil, err
	}
	if _, err := w.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: stream, Subjects: []string{subject}}); err != nil {
		return nil, fmt.Errorf("make the stream: %w", err)
	}
	clients, err := w.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, c := range clients {
			_ = c.Close(context.WithoutCancel(ctx)) // everything was committed
		}
	}()
	return w.all(ctx, clients)
}

func (w *work) connect(ctx context.Context) (clients []*pgx.Conn, err error) {
	for range w.Clients {
		c, err := pgx.Connect(ctx, w.Postgres)
		if err != nil {
			return clients, fmt.Errorf("connect to the database: %w", err)
		}
		clients = append(clients, c)
	}
	_, err = clients[0].Exec(ctx, table)
	return clients, err
}

// all lets every client do one checkout after another.
func (w *work) all(ctx context.Context, clients []*pgx.Conn) (*Result, error) {
	w.from = time.Now().Add(w.WarmUp)
	w.to = w.from.Add(w.Window)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var atWork sync.WaitGroup
	for i, c := range clients {
		atWork.Go(func() {
			if err := w.client(ctx, fmt.Sprintf("client-%d", i), c); err != nil {
				cancel(err)
			}
		})
	}
	wait(ctx, time.Until(w.from))
	before := ownCPU()
	atWork.Wait()
	cpu := ownCPU() - before
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	select {
	case <-w.js.PublishAsyncComplete():
	case <-time.After(ackMax):
		return nil, errors.New("the broker did not acknowledge everything")
	}
	length := min(w.Window, time.Since(w.from))
	return &Result{
		Checkouts: w.done.Load(), Seconds: length.Seconds(), Commits: w.commits.Load(), Published: w.published.Load(),
		CPU: cpu.Seconds(), Micros: w.micros,
	}, nil
}

// client carries the fractions of a commit and of a publication over to its next checkout.
func (w *work) client(ctx context.Context, name string, db *pgx.Conn) error {
	commits, rows, publishes := 0.0, 0.0, 0.0
	for ctx.Err() == nil {
		began := time.Now()
		if !began.Before(w.to) || w.Checkouts > 0 && w.done.Load() >= int64(w.Checkouts) {
			return nil
		}
		for commits += w.Commits; commits >= 1; commits-- {
			rows += w.Rows
			n := max(1, int(rows))
			rows = max(0, rows-float64(n))
			if err := w.commit(ctx, db, name, n); err != nil {
				return fmt.Errorf("commit: %w", err)
			}
			w.count(&w.commits)
		}
		for publishes += w.Publishes; publishes >= 1; publishes-- {
			if _, err := w.js.PublishAsync(subject, w.data); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			w.count(&w.published)
		}
		w.finish(began)
	}
	return nil
}

// commit makes rows durable together.
func (w *work) commit(ctx context.Context, db *pgx.Conn, name string, rows int) error {
	if rows == 1 {
		_, err := db.Exec(ctx, insert, name, w.data)
		return err
	}
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for range rows {
			if _, err := tx.Exec(ctx, insert, name, w.data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *work) counts(now time.Time) bool { return !now.Before(w.from) && now.Before(w.to) }

func (w *work) count(what *atomic.Int64) {
	if w.counts(time.Now()) {
		what.Add(1)
	}
}

func (w *work) finish(began time.Time) {
	now := time.Now()
	if !w.counts(now) {
		return
	}
	w.done.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.micros = append(w.micros, now.Sub(began).Microseconds())
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// ownCPU is the processor time that this program has taken.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails only for a bad argument
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
