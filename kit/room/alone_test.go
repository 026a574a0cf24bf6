package room_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// worker is a room whose only work is to be at work.
type worker struct {
	store *sqlstore.Store
	env   *room.Env
	busy  *atomic.Int32
	tries atomic.Int32
	stop  context.CancelFunc
	done  chan struct{}
}

func (w *worker) Start(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.done = stop, make(chan struct{})
	go func() {
		defer close(w.done)
		w.env.Alone(ctx, "work", func(ctx context.Context) error {
			if w.tries.Add(1) == 1 {
				return errors.New("it fails at first and is begun again")
			}
			w.busy.Add(1)
			defer w.busy.Add(-1)
			<-ctx.Done()
			return nil
		})
	}()
	return nil
}

func (w *worker) Close(context.Context) error {
	w.stop()
	<-w.done
	return w.store.Close()
}

func TestWorkOfARoomIsDoneByOneProcessAtATime(t *testing.T) {
	path, busy := filepath.Join(t.TempDir(), "shared.db"), new(atomic.Int32)
	houses, workers := make([]*room.House, 2), make([]*worker, 2)
	for i := range houses {
		w := &worker{busy: busy}
		house, err := room.Open(t.Context(), room.Shared{
			Leases: lease.NewBook(lease.Options{TTL: 2 * time.Second}),
			Stores: func(ctx context.Context, _ string, o sqlstore.Options) (*sqlstore.Store, error) {
				o.Shared = true
				return sqlstore.Open(ctx, path, o)
			},
		}, room.Room{Name: "worker", Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
			store, err := env.OpenStore(ctx)
			w.store, w.env = store, env
			return w, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		houses[i], workers[i] = house, w
	}
	defer houses[1].Close(context.Background())
	isBusy := func() bool { return busy.Load() == 1 }
	until(t, "one is at work", isBusy)
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		if n := busy.Load(); n != 1 {
			t.Fatalf("%d processes are at work, want one", n)
		}
	}
	if err := houses[0].Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	until(t, "the other is at work", isBusy)
	if tries := workers[0].tries.Load() + workers[1].tries.Load(); tries < 3 {
		t.Errorf("the work was begun %d times, although it fails at first in each process", tries)
	}
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}
