package saga

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Defaults and bounds of a Driver.
const (
	WorkersDefault = 256             // runs advanced at once
	PollDefault    = 2 * time.Second // longest wait before the store is asked again
	KicksMax       = 4096            // kicks that wait for a worker; those beyond are left to the poll
)

// Advance does the step at which a run stands, or undoes it when the run compensates, saves the run with what came of
// it in one transaction, and returns it as saved. It is called by one goroutine at a time for one run, under the step's
// timeout, and again at once while the returned run is due.
//
// It must bear being called twice for the same attempt: the process may have died after the effect. When it returns an
// error the driver counts a failed attempt, waits for the step's backoff, and parks the run after its last attempt; an
// answer that decides the saga, such as a refusal, is no error but a run that it turns round with Run.Compensate.
type Advance func(ctx context.Context, run Run) (Run, error)

// Options of NewDriver; the zero value works.
type Options struct {
	Owner      string        // names this driver in the runs that it holds; "driver" when empty. In a shared store Leases names it
	Leases     *lease.Keeper // of the store, which has lease.Schema if it is shared; one of its own when nil
	Clock      clock.Clock
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is measured
	Workers    int                   // WorkersDefault when 0
	Poll       time.Duration         // PollDefault when 0
	Jitter     func() float64        // for Backoff.Delay; random when nil
}

// Driver brings the runs in one store to their ends.
type Driver struct {
	store   *sqlstore.Store
	advance Advance
	sagas   map[version]Definition
	o       Options
	owner   string // of the runs that are ours
	leases  *lease.Keeper
	shared  bool // with the drivers of other processes, from the beginning
	metrics *metrics

	alive   context.Context // holds the driver's lease
	giveUp  context.CancelFunc
	lease   sync.WaitGroup
	living  atomic.Bool // the lease is held
	scanned time.Time   // when orphans were looked for last; of the loop

	ctx    context.Context // the steps', until a drain runs out of time
	cancel context.CancelFunc
	nudge  chan struct{} // the wake-up moved to an earlier moment
	quit   chan struct{}
	group  sync.WaitGroup

	mu      sync.Mutex
	started bool
	closing bool
	slots   map[string]*slot // the runs in hand, at most Workers
	kicks   []kick           // those that wait for a slot, at most KicksMax
	starved bool             // due runs may have been left behind for want of slots
	wake    time.Time        // when the store is asked next
	polled  time.Time        // when it was asked last
}

// version names one definition.
type version struct {
	saga   string
	number int
}

// slot is a run in hand.
type slot struct {
	again bool       // it was kicked meanwhile: look at it once more
	span  trace.Span // whose request waits for it; nil when nobody's
	begun *Run       // as it stands, when it was begun a moment ago; nil: read it
}

type kick struct {
	run   string
	span  trace.Span
	begun *Run
}

// NewDriver makes a driver of these sagas, every version that still has runs. It does nothing before Start.
func NewDriver(store *sqlstore.Store, advance Advance, sagas []Definition, o Options) (*Driver, error) {
	d := &Driver{
		store: store, advance: advance, o: o.withDefaults(), sagas: make(map[version]Definition, len(sagas)),
		nudge: make(chan struct{}, 1), quit: make(chan struct{}), slots: make(map[string]*slot),
	}
	for _, s := range sagas {
		if err := s.Check(); err != nil {
			return nil, err
		}
		if _, twice := d.sagas[version{s.Name, s.Version}]; twice {
			return nil, fmt.Errorf("make driver: saga %s v%d is given twice", s.Name, s.Version)
		}
		d.sagas[version{s.Name, s.Version}] = s
	}
	d.name()
	var err error
	d.metrics, err = newMetrics(store, d.o.Registerer)
	return d, err
}

func (o Options) withDefaults() Options {
	if o.Owner == "" {
		o.Owner = "driver"
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Workers <= 0 {
		o.Workers = WorkersDefault
	}
	if o.Poll <= 0 {
		o.Poll = PollDefault
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return o
}

// Start begins to drive. A driver that has the store to itself takes over every unfinished run there is, and whoever
// drove it before is fenced; one that shares it takes over those of drivers that live no more, soon and whenever there
// are any. The steps keep ctx's values and not its end; Close ends them.
func (d *Driver) Start(ctx context.Context) error {
	now := d.o.Clock.Now()
	if err := d.enter(ctx, now); err != nil {
		return fmt.Errorf("start driver %s: %w", d.owner, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.started || d.closing {
		return fmt.Errorf("start driver %s: it was started or closed before", d.owner)
	}
	d.started = true
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.wake = now
	for len(d.kicks) > 0 && d.takeKick() {
	}
	d.group.Go(d.loop)
	return nil
}

// Kick asks that a run be looked at now: it has just begun, or something that it waits for has happened. A run in hand
// is looked at once more when its step ends. Kick never waits.
func (d *Driver) Kick(run string) { d.kick(kick{run: run}) }

// KickFrom is Kick for a request that waits for the run: the steps become part of the trace in ctx. Nothing else of ctx
// is kept.
func (d *Driver) KickFrom(ctx context.Context, run string) {
	d.kick(kick{run: run, span: recording(ctx)})
}

// KickBegun is KickFrom for a run whose Begin has just been committed by the caller: it is taken as given and not read
// again. Should it have moved on meanwhile, its first Save is fenced or finds what the other did.
func (d *Driver) KickBegun(ctx context.Context, begun Run) {
	d.kick(kick{run: begun.ID, span: recording(ctx), begun: &begun})
}

func recording(ctx context.Context) trace.Span {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		return span
	}
	return nil
}

func (d *Driver) kick(k kick) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing {
		return
	}
	if s, inHand := d.slots[k.run]; inHand {
		s.again = true
		return
	}
	if len(d.kicks) == 0 && d.started && d.take(k) {
		return
	}
	if len(d.kicks) < KicksMax {
		k.begun = nil // by the time its turn comes it may have moved on
		d.kicks = append(d.kicks, k)
	}
}

// take puts a run in hand, unless every slot is taken. The lock is held.
func (d *Driver) take(k kick) bool {
	if len(d.slots) >= d.o.Workers {
		return false
	}
	s := &slot{span: k.span, begun: k.begun}
	d.slots[k.run] = s
	d.group.Go(func() { d.follow(k.run, s) })
	return true
}

// takeKick puts the run kicked longest ago in hand, and reports whether it could. The lock is held.
func (d *Driver) takeKick() bool {
	k := d.kicks[0]
	if s, inHand := d.slots[k.run]; inHand {
		s.again = true
	} else if !d.take(k) {
		return false
	}
	d.kicks = d.kicks[1:]
	return true
}

// loop asks the store for due runs, at the moment when the next is due and at least once a Poll.
func (d *Driver) loop() {
	timer := d.o.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		_, elsewhere := d.store.Elsewhere()
		select {
		case <-d.quit:
			return
		case <-d.nudge:
		case <-elsewhere:
			d.lookSoon()
		case <-timer.C():
			d.poll()
		}
		d.mu.Lock()
		wait := d.wake.Sub(d.o.Clock.Now())
		d.mu.Unlock()
		timer.Reset(max(wait, 0))
	}
}

// lookSoon has the store asked soon, for others may have made runs due; but not at each of their commits.
func (d *Driver) lookSoon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wakeAt(d.polled.Add(elsewherePause))
}

// poll puts due runs in hand, as far as slots go, and sets the next wake-up.
func (d *Driver) poll() {
	now := d.o.Clock.Now()
	next := now.Add(d.o.Poll)
	d.mu.Lock()
	d.wake, d.polled = next, now // a run let go while we read may move it back, and must not be forgotten
	d.mu.Unlock()
	d.inherit(now)
	var due []Run
	err := d.store.View(d.ctx, func(tx sqlstore.Tx) (err error) {
		// Those in hand are due too: with Workers rows there is one for every free slot.
		if due, err = dueOf(tx, d.whose(), now, d.o.Workers); err != nil {
			return err
		}
		if at, waits, err := nextDue(tx, d.whose(), now); err != nil {
			return err
		} else if waits && at.Before(next) {
			next = at
		}
		return nil
	})
	if err != nil && d.ctx.Err() == nil {
		d.o.Log.ErrorContext(d.ctx, "cannot read due runs", "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if next.Before(d.wake) {
		d.wake = next
	}
	d.starved = len(due) == d.o.Workers // there may be more
	for _, r := range due {
		if _, inHand := d.slots[r.ID]; !inHand && !d.closing && !d.take(kick{run: r.ID}) {
			return
		}
	}
}

// inherit looks for runs whose drivers live no more, while this one does, and takes them over.
func (d *Driver) inherit(now time.Time) {
	if !d.living.Load() || now.Sub(d.scanned) < d.o.Poll {
		return
	}
	d.scanned = now
	var gone []string
	err := d.store.View(d.ctx, func(tx sqlstore.Tx) (err error) {
		gone, err = d.orphans(tx)
		return err
	})
	if err == nil && len(gone) > 0 {
		err = d.adopt(d.ctx)
	}
	if err != nil && d.ctx.Err() == nil {
		d.o.Log.ErrorContext(d.ctx, "cannot look for runs whose drivers live no more", "error", err)
	}
}

// wakeAt moves the wake-up to an earlier moment. The lock is held.
func (d *Driver) wakeAt(t time.Time) {
	if !t.Before(d.wake) {
		return
	}
	d.wake = t
	select {
	case d.nudge <- struct{}{}:
	default: // the loop has not looked at the last nudge yet, and will see this moment too
	}
}

// Close takes no new step, and waits for those under way until ctx ends; then it cancels them and waits for them to
// notice. What is unfinished stays due in the store.
func (d *Driver) Close(ctx context.Context) error {
	d.mu.Lock()
	started, first := d.started, !d.closing
	d.closing, d.kicks = true, nil
	d.mu.Unlock()
	defer d.lease.Wait()
	defer d.giveUp() // once no step is under way, so that nobody takes over what we still do
	if first {
		close(d.quit)
		d.metrics.unregister(d.o.Registerer)
	}
	if !started {
		return nil
	}
	defer d.cancel()
	drained := make(chan struct{})
	go func() { d.group.Wait(); close(drained) }()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
	}
	d.cancel()
	<-drained
	return fmt.Errorf("close driver %s: steps were cut short: %w", d.owner, ctx.Err())
}
