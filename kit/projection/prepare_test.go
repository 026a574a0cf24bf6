package projection_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// batched is words(1), prepared batch by batch; it tells the batches that were written.
func batched(batches chan<- int) projection.Projection {
	p := words(1)
	apply := p.Apply
	p.Apply = nil
	p.Prepare = func(ctx context.Context, batch []eventlog.Recorded) (func(tx sqlstore.Tx) error, error) {
		if sqlstore.InTx(ctx) {
			return nil, errors.New("a batch is prepared within a transaction")
		}
		return func(tx sqlstore.Tx) error {
			for i := range batch {
				if err := apply(tx, batch[i]); err != nil {
					return err
				}
			}
			tx.AfterCommit(func() { batches <- len(batch) })
			return nil
		}, nil
	}
	return p
}

// written is how many events have been written, batch by batch.
func written(batches chan int) (sizes []int) {
	for {
		select {
		case n := <-batches:
			sizes = append(sizes, n)
		default:
			return sizes
		}
	}
}

func TestBatchesAreBoundedAndWrittenWhole(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "desk.db"))
	defer d.store.Close()
	d.say(strings.Split(strings.Repeat("ay ", 599)+"no", " ")...)
	batches := make(chan int, 600)
	p, stop := d.project(batched(batches), projection.Options{})
	defer stop()
	d.waitFor(p)
	d.wants("ay×599@1 no×1@1")
	sum := 0
	for _, n := range written(batches) {
		if sum += n; n > 256 {
			t.Errorf("a batch had %d events", n)
		}
	}
	if sum != 600 {
		t.Errorf("%d events were written", sum)
	}
}

func TestABatchThatFailsIsPreparedAgainAndLosesNothing(t *testing.T) {
	for _, c := range []struct {
		given string
		fail  func() error
		at    string // "prepare" or "write"
	}{
		{"an error in preparing", func() error { return errors.New("cannot be prepared") }, "prepare"},
		{"a panic in preparing", func() error { panic("oh") }, "prepare"},
		{"an error in writing", func() error { return errors.New("cannot be written") }, "write"},
		{"a panic in writing", func() error { panic("oh") }, "write"},
	} {
		t.Run(c.given, func(t *testing.T) {
			d := open(t, filepath.Join(t.TempDir(), "desk.db"))
			defer d.store.Close()
			var broken atomic.Bool
			broken.Store(true)
			p := batched(make(chan int, 600))
			prepare := p.Prepare
			p.Prepare = func(ctx context.Context, batch []eventlog.Recorded) (func(tx sqlstore.Tx) error, error) {
				bad := broken.Load() && batch[len(batch)-1].Type == "err"
				if bad && c.at == "prepare" {
					return nil, c.fail()
				}
				write, err := prepare(ctx, batch)
				if !bad || err != nil {
					return write, err
				}
				return func(tx sqlstore.Tx) error { return errors.Join(write(tx), c.fail()) }, nil
			}
			d.say("ay", "no", "err")
			projector, stop := d.project(p, projection.Options{})
			defer stop()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := projector.WaitFor(ctx, 2); err != nil {
				t.Fatal(err)
			}
			d.wants("ay×1@1 no×1@1")
			broken.Store(false)
			d.waitFor(projector)
			d.wants("ay×1@1 err×1@1 no×1@1")
		})
	}
}

func TestAProjectionAppliesOrPreparesAndNotBoth(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "desk.db"))
	defer d.store.Close()
	neither, both := words(1), batched(nil)
	both.Apply, neither.Apply = neither.Apply, nil
	for _, p := range []projection.Projection{neither, both} {
		if _, err := projection.New(context.Background(), d.store, d.log, p, projection.Options{}); err == nil {
			t.Error("it was opened")
		}
	}
}

// seen is a clock that tells when somebody begins to wait for it.
type seen struct {
	*clock.Fake
	waits chan struct{}
}

func (s seen) NewTimer(d time.Duration) clock.Timer {
	timer := s.Fake.NewTimer(d)
	s.waits <- struct{}{}
	return timer
}

func TestEventsComeTogetherUntilTimeIsUpOrSomebodyWaits(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "desk.db"))
	defer d.store.Close()
	batches := make(chan int, 600)
	p := batched(batches)
	p.Gather = time.Hour
	now := seen{clock.NewFake(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)), make(chan struct{}, 600)}
	projector, stop := d.project(p, projection.Options{Clock: now})
	defer stop()
	d.say("first")
	if n := <-batches; n != 1 {
		t.Fatalf("after a quiet time %d events were taken at once", n)
	}

	d.say("ay")
	d.say("no")
	<-now.waits // it gathers
	if n := projector.Lag(); n != 2 {
		t.Errorf("%d events are gathering", n)
	}
	now.Advance(time.Hour)
	if n := <-batches; n != 2 {
		t.Errorf("%d events came together until the time was up", n)
	}

	d.say("ay")
	d.say("no")
	d.say("ay")
	<-now.waits
	d.waitFor(projector)
	d.wants("ay×3@1 first×1@1 no×2@1")
	if sizes := written(batches); len(sizes) != 1 || sizes[0] != 3 {
		t.Errorf("for somebody who waits they came as %v", sizes)
	}
}

func TestAProjectionThatIsBehindGathersNothing(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "desk.db"))
	defer d.store.Close()
	batches := make(chan int, 600)
	p := batched(batches)
	p.Gather = time.Hour
	prepare := p.Prepare
	p.Prepare = func(ctx context.Context, batch []eventlog.Recorded) (func(tx sqlstore.Tx) error, error) {
		if batch[0].Type == "first" {
			d.say(strings.Split(strings.Repeat("ay ", 255)+"no", " ")...) // come while it is at work
		}
		return prepare(ctx, batch)
	}
	_, stop := d.project(p, projection.Options{Clock: clock.NewFake(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))})
	defer stop()
	d.say("first")
	if first, next := <-batches, <-batches; first != 1 || next != 256 {
		t.Errorf("%d and then %d events were taken", first, next)
	}
}
