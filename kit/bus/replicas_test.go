package bus_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

// process is one of several that follow a source as the same consumer, on one store.
type process struct {
	name  string
	bus   *bus.Bus
	store *sqlstore.Store
	clock *clock.Fake // of its leases: a process whose clock stands still is stopped
	gate  *gate
}

// gate is a feed that can be held up, in which a stopped process sticks.
type gate struct {
	bus.Feed
	mu   sync.Mutex
	shut chan struct{}
}

// After sticks while the gate is shut, after it has read.
func (g *gate) After(ctx context.Context, position int64, limit int) ([]bus.Event, error) {
	events, err := g.Feed.After(ctx, position, limit)
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return events, err
}

func (g *gate) close() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	shut := make(chan struct{})
	g.shut = shut
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.shut = nil
		close(shut)
	})
}

// openProcesses sets so many to work. Their clocks are moved by move, but for those that are stopped.
func openProcesses(t *testing.T, source *bustest.Source, handle bus.Handler, names ...string) []*process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shared.db")
	all := make([]*process, len(names))
	for i, name := range names {
		store, err := sqlstoretest.Open(context.Background(), path, sqlstore.Options{Name: "room", Shared: true, Schemas: []sqlstore.Schema{
			bus.Schema(), lease.Schema(),
			{Name: "effects", Files: fstest.MapFS{"001_effects.sql": {Data: []byte(
				`CREATE TABLE effects (position BIGINT PRIMARY KEY, turn BIGINT NOT NULL, subject TEXT NOT NULL)`)}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		p := &process{name: name, store: store, clock: clock.NewFake(time.Now()), gate: &gate{Feed: source}}
		p.bus = bus.New(bus.Options{
			BatchMax: 8, Leases: lease.NewBook(lease.Options{Owner: name, Clock: p.clock}),
			Through: func(bus.Feed) bus.Feed { return p.gate },
		})
		p.bus.Publish(source)
		if err := p.bus.Subscribe(listener(store, func(tx sqlstore.Tx, ev bus.Event) error {
			if _, err := tx.Exec(`INSERT INTO effects (position, turn, subject) SELECT ?, COALESCE(MAX(turn), 0) + 1, ? FROM effects`,
				ev.Position, ev.Subject); err != nil {
				return err
			}
			return handle(tx, ev)
		})); err != nil {
			t.Fatal(err)
		}
		run(t, p.bus)
		all[i] = p
	}
	return all
}

// move moves the clocks of processes until the test ends.
func move(t *testing.T, processes ...*process) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				for _, p := range processes {
					p.clock.Advance(10 * time.Millisecond)
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// counted checks that every position up to head had its effect once, those of a subject in their order.
func counted(t *testing.T, store *sqlstore.Store, head int64) {
	t.Helper()
	err := store.View(context.Background(), func(tx sqlstore.Tx) error {
		var n, wrong int64
		if err := tx.QueryRow(`SELECT COUNT(*) FROM effects`).Scan(&n); err != nil {
			return err
		}
		if err := tx.QueryRow(`SELECT COUNT(*) FROM effects a JOIN effects b ON a.subject = b.subject AND a.position < b.position AND a.turn > b.turn`).Scan(&wrong); err != nil {
			return err
		}
		if n != head || wrong != 0 {
			t.Errorf("%d of %d events had their effect, %d pairs in the wrong order", n, head, wrong)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func fine(sqlstore.Tx, bus.Event) error { return nil }

func TestOneOfSeveralProcessesDeliversAndAllSeeHowFar(t *testing.T) {
	source := bustest.NewSource("talker")
	all := openProcesses(t, source, fine, "a", "b", "c")
	for n := range 100 {
		source.Say(string(rune('a' + n%7)))
	}
	source.Record("a", "") // of no interest: nothing is stored for it alone
	for _, p := range all {
		wait(t, p.bus, "listener", 101)
		standings, err := p.bus.Standings(context.Background(), "listener")
		if err != nil || standings[0].Position != 101 {
			t.Errorf("process %s sees %v, %v; want position 101", p.name, standings, err)
		}
		if err := p.bus.CaughtUp(context.Background(), "listener"); err != nil {
			t.Error(err)
		}
	}
	counted(t, all[0].store, 100)
}

func TestAProcessThatStopsIsReplacedAndSettlesNothingMore(t *testing.T) {
	source := bustest.NewSource("talker")
	first := openProcesses(t, source, fine, "a", "b")
	source.Say("x")
	wait(t, first[0].bus, "listener", 1)
	leader, other := first[0], first[1]
	if !leads(t, leader) {
		leader, other = other, leader
	}
	open := leader.gate.close()
	defer open()
	for range 40 {
		source.Say("x")
	}
	time.Sleep(20 * time.Millisecond) // so that it has read what it will try to settle
	move(t, other)
	wait(t, other.bus, "listener", 41)
	counted(t, other.store, 41)
	open() // it wakes with its old batch
	source.Say("x")
	wait(t, other.bus, "listener", 42)
	time.Sleep(50 * time.Millisecond)
	counted(t, other.store, 42)
}

// leads tells whether a process holds the consumer's lease.
func leads(t *testing.T, p *process) (ours bool) {
	t.Helper()
	err := p.store.View(context.Background(), func(tx sqlstore.Tx) error {
		var owner string
		err := tx.QueryRow(`SELECT owner FROM leases WHERE name = 'bus.listener'`).Scan(&owner)
		ours = owner == p.name
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ours
}

func TestClosingHandsOverAtOnce(t *testing.T) {
	source := bustest.NewSource("talker")
	all := openProcesses(t, source, fine, "a", "b")
	move(t, all...)
	for range 5 {
		source.Say("x")
	}
	wait(t, all[1].bus, "listener", 5)
	leader, other := all[0], all[1]
	if !leads(t, leader) {
		leader, other = other, leader
	}
	leader.bus.Close()
	before := other.clock.Now()
	for range 5 {
		source.Say("x")
	}
	wait(t, other.bus, "listener", 10)
	counted(t, other.store, 10)
	if took := other.clock.Now().Sub(before); took > lease.TTLDefault {
		t.Errorf("what was given back was taken up after %v", took)
	}
}

func TestLettersAreEndedFromAnyProcess(t *testing.T) {
	source := bustest.NewSource("talker")
	var broken atomic.Bool
	broken.Store(true)
	all := openProcesses(t, source, func(_ sqlstore.Tx, ev bus.Event) error {
		if broken.Load() && ev.Subject == "bad" {
			return errors.New("broken")
		}
		return nil
	}, "a", "b")
	for range 3 {
		source.Say("bad")
		source.Say("good")
	}
	for _, p := range all {
		wait(t, p.bus, "listener", 6)
	}
	broken.Store(false)
	for _, p := range all { // one of them does not deliver
		by := bus.By{Actor: "staff:key", Reason: "mended"}
		letters, err := p.bus.List(context.Background(), "listener", 0, 10)
		if err != nil || len(letters) == 0 {
			t.Fatalf("process %s lists %v, %v", p.name, letters, err)
		}
		if p.name == "a" {
			if err := p.bus.Skip(context.Background(), letters[len(letters)-1].ID, by); err != nil {
				t.Fatal(err)
			}
			continue
		}
		done, err := p.bus.Redrive(context.Background(), "listener", by)
		if err != nil || done.Handled != 2 || done.Left != 0 {
			t.Fatalf("redrive from process %s came to %+v, %v; want 2 handled", p.name, done, err)
		}
	}
	last := source.Say("bad") // its key is free: it must not wait behind letters that are gone
	for _, p := range all {
		wait(t, p.bus, "listener", last)
		if letters, err := p.bus.List(context.Background(), "listener", 0, 10); err != nil || len(letters) != 0 {
			t.Errorf("process %s lists %v, %v; want no letter", p.name, letters, err)
		}
	}
	counted(t, all[0].store, last-1)
}
