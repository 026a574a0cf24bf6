package saga_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// by is an operator at noon.
var by = saga.By{Actor: "staff:stf_1", Reason: "the bank says so", At: noon}

func open(t testing.TB) *sqlstore.Store {
	t.Helper()
	store, err := sqlstoretest.Open(t.Context(), filepath.Join(t.TempDir(), "room.db"), sqlstore.Options{
		Name: "room", Schemas: []sqlstore.Schema{saga.Schema(), saga.TombstoneSchema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// update runs fn in a transaction that must succeed.
func update(t testing.TB, store *sqlstore.Store, fn func(sqlstore.Tx) error) {
	t.Helper()
	if err := store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func begin(t testing.TB, store *sqlstore.Store, runs ...saga.Run) {
	t.Helper()
	update(t, store, func(tx sqlstore.Tx) error {
		for _, r := range runs {
			if err := saga.Begin(tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func get(t testing.TB, store *sqlstore.Store, id string) (r saga.Run, trail []saga.Audit) {
	t.Helper()
	err := store.View(t.Context(), func(tx sqlstore.Tx) (err error) {
		r, trail, err = saga.Get(tx, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, trail
}

func TestARunIsReadAsItWasSaved(t *testing.T) {
	store := open(t)
	r := trip.New("run_1", "me", noon)
	begin(t, store, r)
	r = r.Compensate("car", noon.Add(time.Minute)).Wait(noon.Add(time.Hour))
	r.LastError = "no car"
	update(t, store, func(tx sqlstore.Tx) error { return saga.Save(tx, r) })
	got, _ := get(t, store, "run_1")
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("run (-saved +read):\n%s", diff)
	}
}

func TestAnOlderDriverIsFenced(t *testing.T) {
	store := open(t)
	old := trip.New("run_1", "old", noon)
	begin(t, store, old)
	update(t, store, func(tx sqlstore.Tx) error {
		n, err := saga.TakeOver(tx, "new", noon)
		if n != 1 {
			t.Errorf("%d runs were taken over, want 1", n)
		}
		return err
	})
	err := store.Update(t.Context(), func(tx sqlstore.Tx) error { return saga.Save(tx, old.To("car", noon)) })
	if !errors.Is(err, saga.ErrFenced) {
		t.Errorf("the old driver's save gives %v, want ErrFenced", err)
	}
	taken, _ := get(t, store, "run_1")
	if taken.Owner != "new" || taken.Epoch != 2 || taken.Step != "hotel" {
		t.Errorf("the run is %+v", taken)
	}
	update(t, store, func(tx sqlstore.Tx) error { return saga.Save(tx, taken.To("car", noon)) })
}

func TestDueGivesWhatWaitsLongestAndOnlyWhatIsActive(t *testing.T) {
	store := open(t)
	run := func(id string, at time.Duration, state saga.State) saga.Run {
		r := trip.New(id, "me", noon)
		r.NextAt, r.State = noon.Add(at), state
		return r
	}
	begin(
		t, store,
		run("a", -time.Minute, saga.Running), run("b", -time.Hour, saga.Compensating), run("c", time.Second, saga.Running),
		run("d", -time.Hour, saga.Parked), run("e", -time.Hour, saga.Done), run("f", 0, saga.Running),
	)
	update(t, store, func(tx sqlstore.Tx) error {
		for limit, want := range map[int]string{10: "b a f", 2: "b a"} {
			due, err := saga.Due(tx, noon, limit)
			if err != nil {
				return err
			}
			if got := ids(due); got != want {
				t.Errorf("Due with limit %d is %s, want %s", limit, got, want)
			}
		}
		return nil
	})
}

func ids(runs []saga.Run) string {
	var out []string
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

func TestListGivesPagesOfWhatIsAskedFor(t *testing.T) {
	store := open(t)
	for i := range 5 {
		begin(t, store, trip.New(fmt.Sprintf("run_%d", i), "me", noon))
	}
	update(t, store, func(tx sqlstore.Tx) error { _, err := saga.Park(tx, "run_2", by); return err })
	pages := func(f saga.Filter) (out []string) {
		update(t, store, func(tx sqlstore.Tx) error {
			for {
				runs, next, err := saga.List(tx, f)
				if err != nil {
					return err
				}
				out = append(out, ids(runs))
				if f.After = next; next == "" {
					return nil
				}
			}
		})
		return out
	}
	for _, c := range []struct {
		name   string
		filter saga.Filter
		want   []string
	}{
		{"all in one page", saga.Filter{}, []string{"run_0 run_1 run_2 run_3 run_4"}},
		{"two by two", saga.Filter{Limit: 2}, []string{"run_0 run_1", "run_2 run_3", "run_4"}},
		{"the parked ones", saga.Filter{State: saga.Parked}, []string{"run_2"}},
		{"those of another saga", saga.Filter{Saga: "voyage"}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, pages(c.filter)); diff != "" {
				t.Errorf("pages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnOperatorDecidesAParkedRun(t *testing.T) {
	retry := func(tx sqlstore.Tx) (saga.Run, error) { return saga.Retry(tx, "run_1", by) }
	skip := func(tx sqlstore.Tx) (saga.Run, error) { return saga.Skip(tx, trip, "run_1", by) }
	abandon := func(tx sqlstore.Tx) (saga.Run, error) { return saga.Abandon(tx, "run_1", by) }
	for _, c := range []struct {
		name   string
		parked saga.Run
		decide func(sqlstore.Tx) (saga.Run, error)
		state  saga.State
		step   string
	}{
		{"retry goes on where it stood", trip.New("run_1", "me", noon).To("car", noon), retry, saga.Running, "car"},
		{"retry goes on undoing", trip.New("run_1", "me", noon).Compensate("car", noon), retry, saga.Compensating, "car"},
		{"skip goes on with the next step", trip.New("run_1", "me", noon).To("car", noon), skip, saga.Running, "flight"},
		{"skip of the last step ends", trip.New("run_1", "me", noon).To("mail", noon), skip, saga.Done, "mail"},
		{"skip of an undoing goes back", trip.New("run_1", "me", noon).Compensate("car", noon), skip, saga.Compensating, "hotel"},
		{"skip of the last undoing ends", trip.New("run_1", "me", noon).Compensate("hotel", noon), skip, saga.Done, "hotel"},
		{"abandon ends where it stands", trip.New("run_1", "me", noon).To("car", noon), abandon, saga.Abandoned, "car"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := open(t)
			begin(t, store, c.parked)
			update(t, store, func(tx sqlstore.Tx) error { _, err := saga.Park(tx, "run_1", by); return err })
			update(t, store, func(tx sqlstore.Tx) error { _, err := c.decide(tx); return err })
			got, trail := get(t, store, "run_1")
			if got.State != c.state || got.Step != c.step || got.Attempt != 1 || got.Epoch != 3 {
				t.Errorf("the run is %+v, want %s at %s", got, c.state, c.step)
			}
			if got.State.Active() == !got.EndedAt.IsZero() {
				t.Errorf("a run that is %s ended at %v", got.State, got.EndedAt)
			}
			if len(trail) != 2 || trail[0].Action != "park" || trail[1].Before != saga.Parked || trail[1].After != c.state || trail[1].By != by {
				t.Errorf("audit is %+v", trail)
			}
			err := store.Update(t.Context(), func(tx sqlstore.Tx) error { return saga.Save(tx, c.parked) })
			if !errors.Is(err, saga.ErrFenced) {
				t.Errorf("a driver saves over the decision: %v", err)
			}
		})
	}
}

func TestDecisionsThatCannotBeTakenAreRefused(t *testing.T) {
	store := open(t)
	begin(t, store, trip.New("run_1", "me", noon))
	for code, decide := range map[string]func(sqlstore.Tx) (saga.Run, error){
		"run_not_parked": func(tx sqlstore.Tx) (saga.Run, error) { return saga.Retry(tx, "run_1", by) },
		"run_not_found":  func(tx sqlstore.Tx) (saga.Run, error) { return saga.Abandon(tx, "run_9", by) },
	} {
		err := store.Update(t.Context(), func(tx sqlstore.Tx) error { _, err := decide(tx); return err })
		if !problem.Is(err, code) {
			t.Errorf("error is %v, want %s", err, code)
		}
	}
}

func TestSweepForgetsOnlyWhatEndedLongAgo(t *testing.T) {
	store := open(t)
	begin(t, store, trip.New("old", "me", noon).End(noon), trip.New("new", "me", noon).End(noon.Add(time.Hour)), trip.New("open", "me", noon))
	update(t, store, func(tx sqlstore.Tx) error {
		n, err := saga.Sweep(tx, noon.Add(time.Minute), 10)
		if n != 1 {
			t.Errorf("%d runs were swept, want 1", n)
		}
		return err
	})
	get(t, store, "new")
	get(t, store, "open")
}

func TestATombstoneRefusesTheStepThatComesLate(t *testing.T) {
	store := open(t)
	update(t, store, func(tx sqlstore.Tx) error {
		for range 2 { // a compensation that is heard twice
			if err := saga.Tombstone(tx, "run_1", "hotel"); err != nil {
				return err
			}
		}
		for step, want := range map[string]bool{"hotel": true, "car": false} {
			if got, err := saga.Tombstoned(tx, "run_1", step); err != nil || got != want {
				t.Errorf("Tombstoned(%s) is %v, %v; want %v", step, got, err, want)
			}
		}
		return nil
	})
}
