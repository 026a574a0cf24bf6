// Package leasetest is the specification of leases on a database that several processes write, as tests.
package leasetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Open gives stores of one fresh database, as so many processes have it open, each with these schemas. They are closed
// with the test.
type Open func(t testing.TB, processes int, schemas ...sqlstore.Schema) []*sqlstore.Store

// patience bounds the wait for what must happen soon.
const patience = 20 * time.Second

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"one holds and the next begins when it lets go":     testHandOver,
		"each taking has an epoch of its own":               testEpochs,
		"a holder that stopped is replaced and fenced":      testStopped,
		"a holder whose store fails ends before it is late": testContextEnds,
		"a name is held once in a process":                  testTwice,
		"who waits no more holds nothing":                   testGivesUp,
		"no two fenced writers succeed at once":             testRace,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// holding is one Hold under way.
type holding struct {
	began chan int64 // an epoch at each beginning
	lost  chan int64 // and at each end
	stop  context.CancelFunc
	done  chan struct{}
	err   error // what Hold returned, once done
}

func hold(t *testing.T, k *lease.Keeper, name string) *holding {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	h := &holding{began: make(chan int64, 16), lost: make(chan int64, 16), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		h.err = k.Hold(ctx, name, func(ctx context.Context, epoch int64) error {
			h.began <- epoch
			<-ctx.Done()
			h.lost <- epoch
			return nil
		})
	}()
	t.Cleanup(func() { h.end(t) })
	return h
}

func (h *holding) end(t *testing.T) {
	t.Helper()
	h.stop()
	select {
	case <-h.done:
	case <-time.After(patience):
		t.Error("Hold did not return when its context had ended")
	}
}

// next waits for an epoch.
func next(t *testing.T, what string, epochs <-chan int64) int64 {
	t.Helper()
	select {
	case epoch := <-epochs:
		return epoch
	case <-time.After(patience):
		t.Fatalf("%s: it did not happen within %v", what, patience)
		return 0
	}
}

func none(t *testing.T, what string, epochs <-chan int64) {
	t.Helper()
	select {
	case epoch := <-epochs:
		t.Fatalf("%s (epoch %d)", what, epoch)
	case <-time.After(50 * time.Millisecond):
	}
}

func testHandOver(t *testing.T, open Open) {
	stores := open(t, 2, lease.Schema())
	a, b := lease.New(stores[0], lease.Options{Owner: "a"}), lease.New(stores[1], lease.Options{Owner: "b"})
	first := hold(t, a, "work")
	one := next(t, "the first takes the lease", first.began)
	second := hold(t, b, "work")
	none(t, "two hold the lease", second.began)
	first.end(t)
	began := time.Now()
	if two := next(t, "the second takes the lease", second.began); two <= one {
		t.Errorf("the epoch went from %d to %d", one, two)
	}
	if took := time.Since(began); took > lease.TTLDefault/2 {
		t.Errorf("a lease that was given back stood unused for %v", took)
	}
}

func testEpochs(t *testing.T, open Open) {
	k := lease.New(open(t, 1, lease.Schema())[0], lease.Options{})
	last := int64(0)
	for range 3 {
		h := hold(t, k, "work")
		epoch := next(t, "it takes the lease", h.began)
		if epoch <= last {
			t.Errorf("the epoch went from %d to %d", last, epoch)
		}
		last = epoch
		h.end(t)
	}
}

// testStopped stops a process by stopping its clock: it does nothing more, and believes that it is in time.
func testStopped(t *testing.T, open Open) {
	stores := open(t, 2, lease.Schema())
	stopped, moving := clock.NewFake(time.Now()), clock.NewFake(time.Now())
	first := hold(t, lease.New(stores[0], lease.Options{Owner: "a", Clock: stopped}), "work")
	one := next(t, "the first takes the lease", first.began)
	second := hold(t, lease.New(stores[1], lease.Options{Owner: "b", Clock: moving}), "work")
	none(t, "two hold the lease", second.began)
	two := advanceUntil(t, moving, second.began)
	for epoch, want := range map[int64]error{one: lease.ErrLost, two: nil} {
		err := stores[0].Update(context.Background(), func(tx sqlstore.Tx) error { return lease.Fence(tx, "work", epoch) })
		if !errors.Is(err, want) {
			t.Errorf("Fence of epoch %d gave %v, want %v", epoch, err, want)
		}
	}
	stopped.Advance(lease.TTLDefault)
	if epoch := next(t, "the first hears that it has lost the lease", first.lost); epoch != one {
		t.Errorf("epoch %d was lost, want %d", epoch, one)
	}
	none(t, "who wakes late holds the lease again beside the other", first.began)
}

// advanceUntil moves a clock in small steps until an epoch comes.
func advanceUntil(t *testing.T, c *clock.Fake, epochs <-chan int64) int64 {
	t.Helper()
	limit := time.After(patience)
	for {
		c.Advance(100 * time.Millisecond)
		select {
		case epoch := <-epochs:
			return epoch
		case <-time.After(2 * time.Millisecond):
		case <-limit:
			t.Fatal("the lease of a holder that stopped was never taken")
		}
	}
}

// testContextEnds closes the holder's store, which then cannot be renewed.
func testContextEnds(t *testing.T, open Open) {
	stores := open(t, 2, lease.Schema())
	c := clock.NewFake(time.Now())
	h := hold(t, lease.New(stores[0], lease.Options{Clock: c}), "work")
	next(t, "it takes the lease", h.began)
	began := c.Now()
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	advanceUntil(t, c, h.lost)
	if late := c.Now().Sub(began); late > lease.TTLDefault {
		t.Errorf("the holder's context ended %v after its last renewal; another may take the lease after %v", late, lease.TTLDefault)
	}
}

func testTwice(t *testing.T, open Open) {
	k := lease.New(open(t, 1, lease.Schema())[0], lease.Options{})
	next(t, "it takes the lease", hold(t, k, "work").began)
	err := k.Hold(t.Context(), "work", func(context.Context, int64) error { return nil })
	if err == nil {
		t.Error("a second Hold of the same name in one process was let in")
	}
}

func testGivesUp(t *testing.T, open Open) {
	stores := open(t, 3, lease.Schema())
	keep := func(i int) *lease.Keeper { return lease.New(stores[i], lease.Options{}) }
	first := hold(t, keep(0), "work")
	next(t, "the first takes the lease", first.began)
	second, third := hold(t, keep(1), "work"), hold(t, keep(2), "work")
	second.end(t)
	if !errors.Is(second.err, context.Canceled) {
		t.Errorf("Hold that never ran gave %v, want the context's error", second.err)
	}
	first.end(t)
	next(t, "the third takes the lease", third.began)
}

// race is several processes that append to one table, each with the epoch under which it does so. Now and then the clock
// of one stands still for longer than its lease lives, while it writes on.
type race struct {
	mu    sync.Mutex
	wrote map[int64]string // who wrote under an epoch
	lost  int              // writes that were refused
}

var raceSchema = sqlstore.Schema{Name: "race", Files: files{"001_race.sql": "CREATE TABLE race (seq INTEGER PRIMARY KEY, epoch BIGINT NOT NULL)"}}

const (
	racers   = 4
	raceTTL  = 150 * time.Millisecond
	raceTime = 4 * time.Second
)

func testRace(t *testing.T, open Open) {
	stores := open(t, racers, lease.Schema(), raceSchema)
	ctx, cancel := context.WithTimeout(context.Background(), raceTime)
	defer cancel()
	r := &race{wrote: make(map[int64]string)}
	var all sync.WaitGroup
	for i, store := range stores {
		owner, c := fmt.Sprintf("racer %d", i), clock.NewFake(time.Now())
		k := lease.New(store, lease.Options{Owner: owner, TTL: raceTTL, Clock: c})
		all.Go(func() { stumble(ctx, c) })
		all.Go(func() {
			_ = k.Hold(ctx, "work", func(ctx context.Context, epoch int64) error {
				r.write(ctx, t, store, owner, epoch)
				return nil
			})
		})
	}
	all.Wait()
	r.judge(t, stores[0])
}

// stumble moves a clock with the machine's, but for some times at which it stands still.
func stumble(ctx context.Context, c *clock.Fake) {
	for ctx.Err() == nil {
		pause := time.Millisecond
		if rand.N(200) == 0 {
			pause = 3 * raceTTL
		}
		_ = clock.Sleep(ctx, pause)
		c.Set(time.Now())
	}
}

// write writes until its context ends or it is refused.
func (r *race) write(ctx context.Context, t *testing.T, store *sqlstore.Store, owner string, epoch int64) {
	for ctx.Err() == nil {
		err := store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) error {
			if err := lease.Fence(tx, "work", epoch); err != nil {
				return err
			}
			_, err := tx.Exec(`INSERT INTO race (seq, epoch) SELECT COALESCE(MAX(seq), 0) + 1, ? FROM race`, epoch)
			return err
		})
		if err == nil {
			r.note(t, owner, epoch)
		} else if errors.Is(err, lease.ErrLost) {
			r.mu.Lock()
			r.lost++
			r.mu.Unlock()
		} // else the store was busy for too long, and nothing was written
		_ = clock.Sleep(ctx, time.Millisecond)
	}
}

func (r *race) note(t *testing.T, owner string, epoch int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, other := r.wrote[epoch]; other && before != owner {
		t.Errorf("%s and %s both wrote under epoch %d", before, owner, epoch)
	}
	r.wrote[epoch] = owner
}

// judge reads the table: once an epoch has written, no earlier one has written after it.
func (r *race) judge(t *testing.T, store *sqlstore.Store) {
	writes, last := 0, int64(0)
	err := store.View(context.Background(), func(tx sqlstore.Tx) error {
		rows, err := tx.Query(`SELECT epoch FROM race ORDER BY seq`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var epoch int64
			if err := rows.Scan(&epoch); err != nil {
				return err
			}
			if epoch < last {
				t.Errorf("write %d is of epoch %d, after one of epoch %d", writes, epoch, last)
			}
			writes, last = writes+1, epoch
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.wrote) < 2 || r.lost == 0 {
		t.Errorf("%d writes under %d epochs, %d refused: the race was none", writes, len(r.wrote), r.lost)
	}
	t.Logf("%d writes under %d epochs, %d refused", writes, len(r.wrote), r.lost)
}
