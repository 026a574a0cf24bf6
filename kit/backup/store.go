package backup

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Of is a room of this process.
func Of(name string, store *sqlstore.Store, schemas []sqlstore.Schema) Room {
	return &room{name, store, schemas}
}

type room struct {
	name    string
	store   *sqlstore.Store
	schemas []sqlstore.Schema
}

// Name is the room's.
func (r *room) Name() string { return r.name }

// Hold holds all who write the store, in other processes too, by an update that waits: nothing commits meanwhile.
func (r *room) Hold(ctx context.Context, most time.Duration) (Held, error) {
	h := &held{room: r, release: make(chan struct{}), ended: make(chan struct{})}
	begun := make(chan struct{})
	go func() {
		defer close(h.ended)
		h.err = r.store.Update(ctx, func(tx sqlstore.Tx) error { return h.wait(tx, begun, most) })
	}()
	select {
	case <-begun:
		return h, nil
	case <-h.ended:
		return nil, h.err
	}
}

type held struct {
	room    *room
	once    sync.Once
	runs    int // of the update; only the first one holds
	release chan struct{}
	fallen  atomic.Bool
	ended   chan struct{}
	err     error
}

func (h *held) wait(tx sqlstore.Tx, begun chan<- struct{}, most time.Duration) error {
	if h.runs++; h.runs > 1 {
		return nil // the hold is over, and what else was in its commit runs again
	}
	var migrations int // the transaction begins with its first statement
	if err := tx.QueryRow("SELECT COUNT(*) FROM schema_migrations").Scan(&migrations); err != nil {
		return err
	}
	timer := clock.System{}.NewTimer(most)
	defer timer.Stop()
	close(begun)
	select {
	case <-h.release:
	case <-timer.C():
	}
	h.fallen.Store(true)
	return nil
}

// Release lets the updates go on.
func (h *held) Release() {
	h.once.Do(func() { close(h.release) })
	<-h.ended
}

// Begin keeps a goroutine in the snapshot, where it waits for what is to be read.
func (h *held) Begin(ctx context.Context) (Snapshot, error) {
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &snapshot{room: h.room, stop: stop, jobs: make(chan job), ended: make(chan struct{})}
	begun := make(chan struct{})
	go s.read(reading, h.room.store, begun)
	err := errors.New("the updates went on before the snapshot stood")
	select {
	case <-begun:
		if !h.fallen.Load() {
			return s, nil
		}
	case <-s.ended:
		err = s.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = s.Close() // why it is closed is told
	return nil, err
}

// snapshot is read by one goroutine, to which the transaction belongs.
type snapshot struct {
	room  *room
	stop  context.CancelFunc
	jobs  chan job
	ended chan struct{}
	err   error // with which it ended
}

type job struct {
	do   func(tx sqlstore.Tx) error
	done chan error
}

func (s *snapshot) read(ctx context.Context, store *sqlstore.Store, begun chan<- struct{}) {
	defer close(s.ended)
	s.err = store.Snapshot(ctx, func(tx sqlstore.Tx) error { close(begun); return s.serve(tx) })
}

// serve reads what it is told to until nobody wants the snapshot any more.
func (s *snapshot) serve(tx sqlstore.Tx) error {
	for {
		select {
		case j := <-s.jobs:
			j.done <- j.do(tx)
		case <-tx.Context().Done():
			return nil
		}
	}
}

// Dump reads all tables.
func (s *snapshot) Dump(ctx context.Context, to Sink) (m RoomManifest, err error) {
	schemas, err := schemasOf(s.room.schemas)
	if err != nil {
		return m, err
	}
	d := &dump{to: to, room: s.room.name, left: ctx.Err}
	j := job{done: make(chan error, 1), do: func(tx sqlstore.Tx) (err error) {
		d.tx = tx
		m, err = d.all()
		return err
	}}
	select {
	case s.jobs <- j:
	case <-s.ended:
		return m, fmt.Errorf("the snapshot has ended: %w", s.err)
	}
	err = <-j.done
	m.Schemas = schemas
	return m, err
}

// Close ends the snapshot.
func (s *snapshot) Close() error {
	s.stop()
	<-s.ended
	return s.err
}
