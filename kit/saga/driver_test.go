package saga_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// patience bounds how long a test waits for what must happen soon.
const patience = 10 * time.Second

// agency is a room that books trips. It notes what it did, and answers each step as the test says.
type agency struct {
	t     testing.TB
	store *sqlstore.Store
	clock *clock.Fake
	reg   *prometheus.Registry

	mu     sync.Mutex
	did    []string
	busy   map[string]bool
	answer func(ctx context.Context, r saga.Run) error // nil: every step succeeds
}

var errRefused = errors.New("refused")

func newAgency(t testing.TB) *agency {
	return &agency{t: t, store: open(t), clock: clock.NewFake(noon), reg: prometheus.NewRegistry(), busy: map[string]bool{}}
}

// drive starts a driver, which is closed with the test.
func (a *agency) drive(o saga.Options) *saga.Driver {
	a.t.Helper()
	o.Clock, o.Registerer, o.Log = a.clock, a.reg, slog.New(slog.DiscardHandler)
	o.Jitter = func() float64 { return 1 }
	o.Leases = lease.New(a.store, lease.Options{Owner: cmp.Or(o.Owner, "driver"), Clock: a.clock})
	d, err := saga.NewDriver(a.store, a.advance, []saga.Definition{trip}, o)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := d.Start(context.Background()); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d
}

func (a *agency) advance(ctx context.Context, r saga.Run) (saga.Run, error) {
	a.enter(r)
	defer a.leave(r)
	err := error(nil)
	if a.answer != nil {
		err = a.answer(ctx, r)
	}
	next := a.after(r)
	switch {
	case errors.Is(err, errRefused):
		next = r.Compensate(r.Step, a.clock.Now())
	case err != nil:
		return r, err
	}
	return next, a.store.Update(ctx, func(tx sqlstore.Tx) error { return saga.Save(tx, next) })
}

// after is the run once its step succeeded.
func (a *agency) after(r saga.Run) saga.Run {
	follow := trip.Next
	if r.State == saga.Compensating {
		follow = trip.Previous
	}
	if s, ok := follow(r.Step); ok {
		return r.To(s.Name, a.clock.Now())
	}
	return r.End(a.clock.Now())
}

func (a *agency) enter(r saga.Run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy[r.ID] {
		a.t.Errorf("run %s is advanced by two at a time", r.ID)
	}
	a.busy[r.ID] = true
	what := r.Step
	if r.State == saga.Compensating {
		what = "undo " + what
	}
	a.did = append(a.did, what)
}

func (a *agency) leave(r saga.Run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.busy, r.ID)
}

func (a *agency) done() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.did, ", ")
}

// until waits until the run is as the test wants it.
func (a *agency) until(id string, want func(saga.Run) bool) saga.Run {
	a.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		r, _ := get(a.t, a.store, id)
		if want(r) {
			return r
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the run stays %+v", r)
		}
		time.Sleep(time.Millisecond)
	}
}

func is(s saga.State) func(saga.Run) bool { return func(r saga.Run) bool { return r.State == s } }

func TestDriverBringsARunToItsEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		refused string
		want    string
	}{
		{"when every step succeeds", "", "hotel, car, flight, mail"},
		{"by undoing when a step is refused", "car", "hotel, car, undo car, undo hotel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAgency(t)
			a.answer = func(_ context.Context, r saga.Run) error {
				if r.Step == c.refused && r.State == saga.Running {
					return errRefused
				}
				return nil
			}
			d := a.drive(saga.Options{})
			begin(t, a.store, trip.New("run_1", "driver", noon))
			d.Kick("run_1")
			a.until("run_1", is(saga.Done))
			if diff := gocmp.Diff(c.want, a.done()); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDriverTakesOverWhatWasLeftAndFencesTheOldOne(t *testing.T) {
	a := newAgency(t)
	left := trip.New("run_1", "killed", noon.Add(-time.Hour)).To("flight", noon.Add(time.Hour))
	begin(t, a.store, left)
	a.drive(saga.Options{Owner: "new"})
	r := a.until("run_1", is(saga.Done))
	if r.Epoch != left.Epoch+1 || r.Owner != "new" || a.done() != "flight, mail" {
		t.Errorf("the run is %+v after %s", r, a.done())
	}
}

func TestDriverWaitsBetweenAttemptsAndParksAfterTheLast(t *testing.T) {
	a := newAgency(t)
	a.answer = func(context.Context, saga.Run) error { return errors.New("no line") }
	d := a.drive(saga.Options{})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	d.Kick("run_1")
	r := a.until("run_1", func(r saga.Run) bool { return r.Attempt == 2 })
	if wait := r.NextAt.Sub(noon); wait != 100*time.Millisecond || r.LastError != "no line" {
		t.Errorf("the second attempt waits %v after %q, want 100ms", wait, r.LastError)
	}
	a.advanceUntil("run_1", is(saga.Parked))
	if a.done() != "hotel, hotel, hotel" {
		t.Errorf("attempts were %s, want three", a.done())
	}
	_, trail := get(t, a.store, "run_1")
	if len(trail) != 1 || trail[0].Action != "park" || trail[0].Actor != "driver" || trail[0].Reason != "no line" {
		t.Errorf("audit is %+v", trail)
	}
	want := `
# HELP souk_saga_runs Runs that are running, compensating or parked.
# TYPE souk_saga_runs gauge
souk_saga_runs{saga="trip",state="parked"} 1
# HELP souk_saga_runs_parked_total Runs parked by the driver, for an operator to see to.
# TYPE souk_saga_runs_parked_total counter
souk_saga_runs_parked_total{saga="trip",step="hotel"} 1
`
	if err := testutil.GatherAndCompare(a.reg, strings.NewReader(want), "souk_saga_runs", "souk_saga_runs_parked_total"); err != nil {
		t.Error(err)
	}
}

// advanceUntil moves the clock on, a little at a time, until the run is as the test wants it.
func (a *agency) advanceUntil(id string, want func(saga.Run) bool) {
	a.t.Helper()
	a.until(id, func(r saga.Run) bool {
		a.clock.Advance(50 * time.Millisecond)
		return want(r)
	})
}

func TestDriverFindsRunsThatNobodyKicked(t *testing.T) {
	a := newAgency(t)
	a.drive(saga.Options{Poll: time.Second})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	a.advanceUntil("run_1", is(saga.Done))
}

func TestDriverParksARunOfAnUnknownVersion(t *testing.T) {
	a := newAgency(t)
	d := a.drive(saga.Options{})
	r := trip.New("run_1", "driver", noon)
	r.Version = 7
	begin(t, a.store, r)
	d.Kick("run_1")
	if got := a.until("run_1", is(saga.Parked)); !strings.Contains(got.LastError, "no saga trip v7") {
		t.Errorf("last error is %q", got.LastError)
	}
}

func TestAPanicIsAFailedAttempt(t *testing.T) {
	a := newAgency(t)
	a.answer = func(context.Context, saga.Run) error { panic("boom") }
	d := a.drive(saga.Options{})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	d.Kick("run_1")
	if r := a.until("run_1", func(r saga.Run) bool { return r.Attempt == 2 }); !strings.Contains(r.LastError, "boom") {
		t.Errorf("last error is %q", r.LastError)
	}
}

func TestProgressSavedBeforeAnErrorStands(t *testing.T) {
	a := newAgency(t)
	var once sync.Once
	a.answer = func(ctx context.Context, r saga.Run) (err error) {
		once.Do(func() {
			err = errors.Join(errors.New("answer lost"),
				a.store.Update(ctx, func(tx sqlstore.Tx) error { return saga.Save(tx, r.To("car", noon)) }))
		})
		return err
	}
	d := a.drive(saga.Options{})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	d.Kick("run_1")
	a.until("run_1", is(saga.Done))
	if a.done() != "hotel, car, flight, mail" {
		t.Errorf("steps were %s", a.done())
	}
}

func TestAKickDuringAStepIsNotLost(t *testing.T) {
	a := newAgency(t)
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	paid := false
	a.answer = func(ctx context.Context, r saga.Run) error {
		if r.Step != "hotel" {
			return nil
		}
		entered <- struct{}{}
		<-leave
		if paid {
			return nil
		}
		return errors.New("not paid yet")
	}
	d := a.drive(saga.Options{})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	d.Kick("run_1")
	<-entered
	d.Kick("run_1")
	leave <- struct{}{}
	// The clock stands still: only the kick can bring the second look, and it comes before the backoff is over.
	<-entered
	paid = true
	leave <- struct{}{}
	a.until("run_1", is(saga.Done))
}

func TestManyRunsShareFewWorkers(t *testing.T) {
	a := newAgency(t)
	const runs = 60
	for i := range runs {
		begin(t, a.store, trip.New(fmt.Sprintf("run_%02d", i), "old", noon))
	}
	d := a.drive(saga.Options{Workers: 3})
	for i := range runs {
		d.Kick(fmt.Sprintf("run_%02d", i%runs))
	}
	for i := range runs {
		a.until(fmt.Sprintf("run_%02d", i), is(saga.Done))
	}
}

func TestDueRunsBeyondTheWorkersAreNotLeftBehind(t *testing.T) {
	a := newAgency(t)
	for i := range 40 {
		begin(t, a.store, trip.New(fmt.Sprintf("run_%02d", i), "old", noon))
	}
	a.drive(saga.Options{Workers: 2}) // the clock stands still and nobody kicks
	for i := range 40 {
		a.until(fmt.Sprintf("run_%02d", i), is(saga.Done))
	}
}

func TestAnOperatorsDecisionFencesTheStepUnderWay(t *testing.T) {
	a := newAgency(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	a.answer = func(context.Context, saga.Run) error {
		close(entered)
		<-leave
		return nil
	}
	d := a.drive(saga.Options{})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	d.Kick("run_1")
	<-entered
	update(t, a.store, func(tx sqlstore.Tx) error { _, err := saga.Park(tx, "run_1", by); return err })
	close(leave)
	if err := d.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r, _ := get(t, a.store, "run_1"); r.State != saga.Parked || r.Step != "hotel" {
		t.Errorf("the run is %+v", r)
	}
}

func TestCloseDrainsAndThenCutsShort(t *testing.T) {
	a := newAgency(t)
	entered := make(chan struct{})
	a.answer = func(ctx context.Context, _ saga.Run) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}
	d := a.drive(saga.Options{})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	d.Kick("run_1")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close gives %v, want that steps were cut short", err)
	}
	if r, _ := get(t, a.store, "run_1"); r.Attempt != 1 || !r.State.Active() {
		t.Errorf("a step that was cut short was counted as failed: %+v", r)
	}
}

func TestAStepBelongsToTheTraceOfTheRequestThatWaits(t *testing.T) {
	a := newAgency(t)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	ctx, span := provider.Tracer("test").Start(t.Context(), "checkout")
	defer span.End()
	seen := make(chan trace.SpanContext, len(trip.Steps))
	a.answer = func(ctx context.Context, _ saga.Run) error {
		seen <- trace.SpanContextFromContext(ctx)
		return nil
	}
	d := a.drive(saga.Options{})
	begin(t, a.store, trip.New("run_1", "driver", noon))
	d.KickFrom(ctx, "run_1")
	if got := <-seen; got.TraceID() != span.SpanContext().TraceID() {
		t.Errorf("the step runs in trace %s, want the request's", got.TraceID())
	}
	a.until("run_1", is(saga.Done))
}

func TestABadSagaMakesNoDriver(t *testing.T) {
	for name, sagas := range map[string][]saga.Definition{
		"one that fails its check": {{Name: "x", Version: 1}},
		"one given twice":          {trip, trip},
	} {
		if _, err := saga.NewDriver(nil, nil, slices.Clone(sagas), saga.Options{}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
