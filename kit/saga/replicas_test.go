package saga_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

// replicaPatience bounds the machine's time of a take-over. Its bounds on the clock are loose, because a slow machine does
// less while the clock moves.
const replicaPatience = 90 * time.Second

// replica is one process of an agency, with a clock of its own: to stop it is to stop the process.
type replica struct {
	t      testing.TB
	name   string
	store  *sqlstore.Store
	clock  *clock.Fake
	driver *saga.Driver
	agency *branches
}

// branches is what the processes of an agency did, all together.
type branches struct {
	mu   sync.Mutex
	did  map[string][]string // by run: "replica/step"
	hold map[string]chan struct{}
}

// openBranches gives processes that share one store.
func openBranches(t testing.TB, names ...string) (all *branches, replicas []*replica) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shared.db")
	all = &branches{did: make(map[string][]string), hold: make(map[string]chan struct{})}
	for _, name := range names {
		store, err := sqlstoretest.Open(t.Context(), path, sqlstore.Options{
			Name: "room", Shared: true, Schemas: []sqlstore.Schema{saga.Schema(), lease.Schema()},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		r := &replica{t: t, name: name, store: store, clock: clock.NewFake(noon), agency: all}
		r.driver, err = saga.NewDriver(store, r.advance, []saga.Definition{trip}, saga.Options{
			Clock: r.clock, Log: slog.New(slog.DiscardHandler),
			Leases: lease.New(store, lease.Options{Owner: name, Clock: r.clock}),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.driver.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.driver.Close(context.Background()) })
		replicas = append(replicas, r)
	}
	return all, replicas
}

func (r *replica) advance(_ context.Context, run saga.Run) (saga.Run, error) {
	b := r.agency
	b.mu.Lock()
	hold := b.hold[r.name]
	b.mu.Unlock()
	if hold != nil {
		<-hold
	}
	next := run.End(r.clock.Now())
	if s, ok := trip.Next(run.Step); ok {
		next = run.To(s.Name, r.clock.Now())
	}
	return next, r.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		if err := saga.Save(tx, next); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.did[run.ID] = append(b.did[run.ID], r.name+"/"+run.Step)
		})
		return nil
	})
}

// stop holds the replica's steps up and its clock, as SIGSTOP does; the returned function lets it go on.
func (r *replica) stop() (goOn func()) {
	hold := make(chan struct{})
	r.agency.mu.Lock()
	r.agency.hold[r.name] = hold
	r.agency.mu.Unlock()
	return sync.OnceFunc(func() {
		r.agency.mu.Lock()
		delete(r.agency.hold, r.name)
		r.agency.mu.Unlock()
		close(hold)
	})
}

func (r *replica) begin(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		run := trip.New(id, r.driver.Owner(), r.clock.Now())
		begin(r.t, r.store, run)
		r.driver.KickBegun(context.Background(), run)
	}
}

// await moves the clocks of some replicas until every run is as wanted.
func await(t testing.TB, store *sqlstore.Store, want saga.State, clocks []*replica, ids ...string) (moved time.Duration) {
	t.Helper()
	const stride = 50 * time.Millisecond
	limit := time.Now().Add(replicaPatience)
	for {
		left := 0
		for _, id := range ids {
			if run, _ := get(t, store, id); run.State != want {
				left++
			}
		}
		if left == 0 {
			return moved
		}
		if time.Now().After(limit) {
			t.Fatalf("%d of %d runs are not %s within %v", left, len(ids), want, replicaPatience)
		}
		for _, r := range clocks {
			r.clock.Advance(stride)
		}
		moved += stride
		time.Sleep(2 * time.Millisecond)
	}
}

// once checks that every step of the runs was done once, by whom.
func (b *branches) once(t testing.TB, ids ...string) (by map[string]int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	by = make(map[string]int)
	for _, id := range ids {
		if did := b.did[id]; len(did) != len(trip.Steps) {
			t.Errorf("run %s: did %v, want each of its %d steps once", id, did, len(trip.Steps))
		}
		for _, step := range b.did[id] {
			name, _, _ := strings.Cut(step, "/")
			by[name]++
		}
	}
	return by
}

func named(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%02d", prefix, i)
	}
	return all
}

func TestRunsBelongToTheProcessThatBeganThem(t *testing.T) {
	all, r := openBranches(t, "a", "b")
	ofA, ofB := named("a", 20), named("b", 20)
	var both sync.WaitGroup
	both.Go(func() { r[0].begin(ofA...) })
	both.Go(func() { r[1].begin(ofB...) })
	both.Wait()
	await(t, r[0].store, saga.Done, r, append(ofA, ofB...)...)
	if by := all.once(t, ofA...); by["b"] > 0 {
		t.Errorf("b did %d steps of runs that a began and lived to drive", by["b"])
	}
	if by := all.once(t, ofB...); by["a"] > 0 {
		t.Errorf("a did %d steps of runs that b began and lived to drive", by["a"])
	}
}

func TestRunsOfAProcessThatStoppedAreTakenOverAndItIsFenced(t *testing.T) {
	all, r := openBranches(t, "a", "b")
	goOn := r[0].stop()
	defer goOn()
	runs := named("a", 20)
	r[0].begin(runs...)
	took := await(t, r[1].store, saga.Done, r[1:], runs...)
	if bound := 3 * lease.TTLDefault; took > bound {
		t.Errorf("the runs were taken over and done after %v, want within %v", took, bound)
	}
	goOn() // it wakes in the middle of its steps, and saves
	if err := r[0].driver.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if by := all.once(t, runs...); by["a"] > 0 {
		t.Errorf("a did %d steps although its runs had been taken over", by["a"])
	}
}

func TestRunsOfAProcessThatClosedAreTakenOverSoon(t *testing.T) {
	all, r := openBranches(t, "a", "b")
	runs := named("a", 5)
	for _, id := range runs { // due in an hour: a closes before
		begin(t, r[0].store, trip.New(id, "a", noon).Wait(noon.Add(time.Hour)))
	}
	if err := r[0].driver.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := await(t, r[1].store, saga.Done, r[1:], runs...)
	if bound := lease.TTLDefault; took > bound {
		t.Errorf("the runs were taken over and done after %v, want within %v", took, bound)
	}
	all.once(t, runs...)
}

func TestAProcessThatLivesIsNotRobbed(t *testing.T) {
	_, r := openBranches(t, "a", "b")
	begin(t, r[0].store, trip.New("waits", "a", noon).Wait(noon.Add(24*time.Hour)))
	for range 400 { // 40 seconds, four lives of a lease
		r[0].clock.Advance(100 * time.Millisecond)
		r[1].clock.Advance(100 * time.Millisecond)
		time.Sleep(time.Millisecond)
	}
	if run, _ := get(t, r[1].store, "waits"); run.Owner != "a" || run.Epoch != 1 {
		t.Errorf("the run is %s's with epoch %d; a lives and holds it with epoch 1", run.Owner, run.Epoch)
	}
}

func TestAKickInAnotherProcessIsNotLost(t *testing.T) {
	all, r := openBranches(t, "a", "b")
	begin(t, r[0].store, trip.New("waits", "a", noon).Wait(noon.Add(time.Hour)))
	run, _ := get(t, r[1].store, "waits")
	update(t, r[1].store, func(tx sqlstore.Tx) error { return saga.Save(tx, run.Wait(noon)) })
	r[1].driver.Kick("waits")
	if took := await(t, r[1].store, saga.Done, r, "waits"); took > lease.TTLDefault {
		t.Errorf("the owner saw after %v that its run was due", took)
	}
	if by := all.once(t, "waits"); by["b"] > 0 {
		t.Errorf("b did %d steps of a run of a, which lives", by["b"])
	}
}

func TestAKickOfARunWhoseOwnerIsGoneTakesItOver(t *testing.T) {
	all, r := openBranches(t, "b")
	begin(t, r[0].store, trip.New("orphan", "who lives no more", noon))
	r[0].driver.Kick("orphan")
	await(t, r[0].store, saga.Done, nil, "orphan") // no clock moves: no poll
	all.once(t, "orphan")
}

func TestOperatorsActFromAnyProcess(t *testing.T) {
	all, r := openBranches(t, "a", "b")
	for _, id := range []string{"retried", "skipped", "abandoned"} {
		begin(t, r[0].store, trip.New(id, "a", noon).Wait(noon.Add(time.Hour)))
		update(t, r[0].store, func(tx sqlstore.Tx) error { _, err := saga.Park(tx, id, by); return err })
	}
	update(t, r[1].store, func(tx sqlstore.Tx) error {
		if _, err := saga.Retry(tx, "retried", by); err != nil {
			return err
		}
		if _, err := saga.Skip(tx, trip, "skipped", by); err != nil {
			return err
		}
		_, err := saga.Abandon(tx, "abandoned", by)
		return err
	})
	for _, id := range []string{"retried", "skipped", "abandoned"} {
		r[1].driver.Kick(id)
	}
	await(t, r[1].store, saga.Done, r, "retried", "skipped")
	await(t, r[1].store, saga.Abandoned, r, "abandoned")
	all.once(t, "retried")
}
