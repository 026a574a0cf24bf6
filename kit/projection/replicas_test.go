package projection_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/projection"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// process is one of those that share a store, with a clock of its own for its leases.
type process struct {
	*desk
	*projection.Projector
	clock *clock.Fake
	stop  func()
}

func processes(t *testing.T, names ...string) (all []process) {
	path := filepath.Join(t.TempDir(), "desk.db")
	for _, name := range names {
		d := openAs(t, path, sqlstore.Options{
			Shared: true, Schemas: []sqlstore.Schema{eventlog.Schema(), projection.Schema(), lease.Schema()},
		})
		p := process{desk: d, clock: clock.NewFake(time.Now())}
		p.Projector, p.stop = d.project(words(1), projection.Options{
			Leases: lease.New(d.store, lease.Options{Owner: name, Clock: p.clock}),
		})
		t.Cleanup(func() { _ = d.store.Close() })
		all = append(all, p)
	}
	return all
}

func TestOneOfTwoProcessesProjectsAndBothShowIt(t *testing.T) {
	all := processes(t, "a", "b")
	all[0].say("ay", "no", "ay")
	all[1].say("ay")
	for i, p := range all {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		head, err := p.log.HeadNow(ctx)
		if err != nil || head != 4 {
			t.Fatalf("process %d sees the log end at %d, %v; want 4", i, head, err)
		}
		if err := p.WaitFor(ctx, head); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		p.wants("ay×3@1 no×1@1")
	}
	all[0].stop() // whichever it was that projected, the other goes on
	defer all[1].stop()
	all[1].say("oh")
	limit := time.After(20 * time.Second)
	for all[1].counted() != "ay×3@1 no×1@1 oh×1@1" {
		all[1].clock.Advance(100 * time.Millisecond)
		select {
		case <-limit:
			t.Fatalf("nobody projects any more: %s", all[1].counted())
		case <-time.After(2 * time.Millisecond):
		}
	}
}
