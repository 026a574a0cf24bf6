package sqlstore

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of one group.
const (
	batchTime  = 20 * time.Millisecond  // how long it may go on admitting members before it commits
	gatherTime = 300 * time.Microsecond // how long it waits, in all, for as many members as the group before it had
	gatherMin  = 4                      // and only if they were so many: fewer are no load, and waiting would only be slow
)

// writer runs every update of a store, one after the other, on one goroutine and one connection:
//
//	queue → group: BEGIN, members, COMMIT → hooks → every caller hears
type writer struct {
	conn     Conn
	name     string
	log      *slog.Logger
	metrics  *metrics
	batchMax int
	queue    chan *request
	stop     chan struct{}
	closing  sync.Once
	gone     chan struct{} // closed when the goroutine has ended for good
	group    group
	last     int         // members of the last group
	patience *time.Timer // of gather
	undone   uint64      // how often writes of a member have been undone
	others   func()      // is called when another process has written
}

func newWriter(c Conn, m *metrics, o Options, others func()) *writer {
	return &writer{
		conn: c, name: o.Name, log: o.Log, metrics: m, batchMax: o.BatchMax,
		queue: make(chan *request, o.QueueMax), stop: make(chan struct{}), gone: make(chan struct{}),
		patience: time.NewTimer(gatherTime), undone: stores.Add(1) << undoneBits, others: others,
	}
}

// stores counts the writers of this process: each counts Undone from a number that no other reaches, so that what was
// learnt from one is not taken for another's.
var stores atomic.Uint64

const undoneBits = 40

// Steps in the life of a request.
const (
	queued int32 = iota
	running
	left // its caller did not wait; its function never runs
)

type request struct {
	ctx   context.Context
	fn    func(Tx) error
	since time.Time
	state atomic.Int32
	done  chan struct{} // closed when the outcome stands
	tx    tx
	err   error
	panic any
}

// errGoexit answers a caller whose function ended the writer's goroutine, as t.Fatal does.
var errGoexit = errors.New("the transaction's function called runtime.Goexit")

// update queues fn and waits for its outcome.
func (w *writer) update(ctx context.Context, fn func(Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, fn: fn, since: time.Now(), done: make(chan struct{})}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.gone:
		return ErrClosed
	}
	return w.await(ctx, r)
}

// await lets a caller leave only while its function has not begun.
func (w *writer) await(ctx context.Context, r *request) error {
	select {
	case <-r.done:
		return r.outcome()
	case <-ctx.Done():
		if r.state.CompareAndSwap(queued, left) {
			return ctx.Err()
		}
	case <-w.gone:
		if r.state.CompareAndSwap(queued, left) {
			return ErrClosed
		}
	}
	<-r.done
	return r.outcome()
}

// failWith is for a function that said all is well although a statement of its had failed and taken all along.
func (r *request) failWith(err error) {
	if !r.failed() {
		r.err = err
	}
}

func (r *request) failed() bool { return r.err != nil || r.panic != nil }

func (r *request) outcome() error {
	if r.panic != nil {
		panic(r.panic)
	}
	return r.err
}

// loop ends when the store closes. A member that ends the goroutine does not end the writer: the next one takes its
// group over.
func (w *writer) loop() {
	closing := false
	defer func() {
		if closing {
			close(w.gone)
			return
		}
		go w.loop()
	}()
	if w.group.running != nil {
		w.lead(nil)
	}
	for {
		select {
		case r := <-w.queue:
			w.lead(r)
		case <-w.stop:
			w.drain()
			closing = true
			return
		}
	}
}

// drain serves those who were queued before the store closed.
func (w *writer) drain() {
	for r := w.poll(); r != nil; r = w.poll() {
		w.lead(r)
	}
}

// lead gathers a group around the first request, commits it, and only then answers; nil goes on with the group whose
// member ended the goroutine.
func (w *writer) lead(first *request) {
	g := &w.group
	if first == nil {
		g.settle()
	} else {
		g.start(w)
		g.admit(first)
	}
	for g.run(); !g.full(); g.run() {
		r := w.another()
		if r == nil {
			break
		}
		g.admit(r)
	}
	for g.conclude(); g.again(); g.conclude() {
		g.run()
	}
	g.finish()
	w.last = len(g.members)
}

// another takes one more request. An empty queue is asked twice: those just answered are often about to come back.
func (w *writer) another() *request {
	if r := w.poll(); r != nil {
		return r
	}
	runtime.Gosched()
	if r := w.poll(); r != nil {
		return r
	}
	return w.gather()
}

// gather waits a little, under load, for as many members as the last group had: one commit for all costs less than one
// for each. Somebody alone never waits.
func (w *writer) gather() *request {
	g := &w.group
	if g.gathered || w.last < gatherMin || len(g.members) >= w.last {
		return nil
	}
	if !g.waiting {
		g.waiting = true
		w.patience.Reset(gatherTime)
	}
	select {
	case r := <-w.queue:
		return r
	case <-w.patience.C:
		g.gathered = true
		return nil
	}
}

func (w *writer) poll() *request {
	select {
	case r := <-w.queue:
		return r
	default:
		return nil
	}
}

// call runs the function, perhaps not for the first time; how it ended is in err and panic.
func (r *request) call(g *group) {
	r.tx = tx{ctx: r.ctx, conn: g.w.conn, update: g}
	r.err = errGoexit
	defer func() {
		if r.panic = recover(); r.panic != nil {
			g.w.log.Error("transaction panicked", "panic", r.panic, "stack", string(debug.Stack()))
		}
	}()
	r.err = r.fn(&r.tx)
}
