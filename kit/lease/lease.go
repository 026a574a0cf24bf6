// Package lease gives work that only one process may do to one of the processes of a room. A lease is a row in the
// room's own store, renewed while its holder lives:
//
//	wanted ─▶ held, epoch n ── renewed every TTL/3 ──▶ released: the next holder begins at once
//	   ▲          │ not renewed for 5/6 TTL: its context ends
//	   └──────────┴─ not renewed for TTL: another takes it, epoch n+1
//
// What the holder writes is fenced: Fence, in its own transaction, refuses whoever has been replaced, however late it
// wakes. So nothing rests on clocks but who works: when the clocks of two processes differ by more than TTL/6, both may
// work for a while, and one of them in vain. (Gray and Cheriton, "Leases", 1989; the fencing token is Lamport's.)
//
// Where the store is not shared, every lease is ours from the beginning, with epoch 0, and costs no statement.
package lease

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// ErrLost refuses what a former holder still tries to write.
var ErrLost = errors.New("the lease is in other hands")

// Defaults and bounds of a Keeper.
const (
	TTLDefault = 10 * time.Second       // how long a lease outlives its last renewal
	NamesMax   = 256                    // leases that one Keeper holds or waits for
	lookMax    = time.Second            // longest wait between two looks at leases of others
	lookMin    = 250 * time.Millisecond // shortest, however much others commit
	releaseMax = 2 * time.Second        // for giving a lease back
)

// Options of New; the zero value works.
type Options struct {
	Owner      string // names this process, unlike any other that lives; made up when empty. One that comes again goes on where it was
	Clock      clock.Clock
	TTL        time.Duration         // TTLDefault when 0
	Log        *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
	Jitter     func() float64        // spreads renewals, in [0, 1); random when nil
}

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the table of leases, for every store that may be shared.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic("lease: " + err.Error()) // the folder is part of the binary
	}
	return sqlstore.Schema{Name: "lease", Files: files}
}

// Keeper holds the leases of one process in one store. It is safe for concurrency.
type Keeper struct {
	store   *sqlstore.Store
	o       Options
	metrics *metrics
	wake    chan struct{} // something new is wanted, or nothing any more

	mu      sync.Mutex
	claims  map[string]*claim
	strays  map[string]int64 // leases taken for claims that had gone, with their epochs
	tending chan struct{}    // closed when the goroutine that renews has ended; nil while there is none
	safe    time.Time        // until then what is held is surely ours
}

// New makes the keeper of one store, which has been opened with Schema if it is shared.
func New(store *sqlstore.Store, o Options) *Keeper {
	o = o.withDefaults()
	return &Keeper{store: store, o: o, metrics: newMetrics(o.Registerer), wake: make(chan struct{}, 1), claims: make(map[string]*claim)}
}

func (o Options) withDefaults() Options {
	if o.Owner == "" {
		o.Owner = madeUp()
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.TTL <= 0 {
		o.TTL = TTLDefault
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Jitter == nil {
		o.Jitter = mathrand.Float64
	}
	return o
}

// madeUp says where the process runs, for whoever reads it, and is unlike any other.
func madeUp() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text()[:10])
}

// Owner is the name of this process in the leases that it holds.
func (k *Keeper) Owner() string { return k.o.Owner }

// Shared reports whether there are others at all; if not, every lease is ours.
func (k *Keeper) Shared() bool { return k.store.Shared() }

// Hold waits for the lease and calls run while it is ours. run's context ends well before another can take the lease,
// and run then returns soon; Hold waits for the lease once more and calls it again. When run returns by itself, or ctx
// ends, the lease is given back and Hold returns what run returned, or the context's error if it never ran.
//
// A name is held or waited for once in a process; a second Hold of it is refused.
func (k *Keeper) Hold(ctx context.Context, name string, run func(ctx context.Context, epoch int64) error) error {
	if !k.Shared() {
		return run(ctx, 0)
	}
	c, err := k.enter(name)
	if err != nil {
		return err
	}
	defer k.leave(ctx, c)
	for {
		t, err := k.await(ctx, c)
		if err != nil {
			return err
		}
		err = run(t.ctx, t.epoch)
		lost := t.ctx.Err() != nil && ctx.Err() == nil
		t.end()
		if !lost {
			return err
		}
	}
}

// Fence refuses a holder that has been replaced with ErrLost. Call it in the transaction that writes on the strength of
// the lease. Epoch 0, of a store that is not shared, always passes.
func Fence(tx sqlstore.Tx, name string, epoch int64) error {
	if epoch == 0 {
		return nil
	}
	var now int64
	err := tx.QueryRow(`SELECT epoch FROM leases WHERE name = ?`, name).Scan(&now)
	if err != nil && !errors.Is(err, sqlstore.ErrNoRows) {
		return fmt.Errorf("look at lease %s: %w", name, err)
	}
	if now != epoch {
		return fmt.Errorf("lease %s has epoch %d, not %d: %w", name, now, epoch, ErrLost)
	}
	return nil
}
