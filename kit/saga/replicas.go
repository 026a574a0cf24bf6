package saga

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// In a store that several processes write, a run belongs to the driver of the process that began it. That driver holds a
// lease in its own name; when it lets go of it or the lease runs out, a living driver takes its runs over, with a new
// epoch. Only the owner drives a run. Whoever else changes its course, a consumer or an operator in another process,
// makes it due; the owner sees that by the commit, or at its next poll.
//
// A driver that has its store to itself owns every run there is, and asks for no lease.

const (
	leasePrefix    = "saga@"                // and the owner's name: its lease
	elsewherePause = 100 * time.Millisecond // shortest time between two looks for what others made due
	forgetAfter    = 24 * time.Hour         // how long the row of a lease that ran out is kept, for whoever looks into it
)

// name gives the driver its name and the keeper of its lease.
func (d *Driver) name() {
	d.owner, d.leases = d.o.Owner, d.o.Leases
	if d.leases == nil {
		d.leases = lease.New(d.store, lease.Options{Clock: d.o.Clock, Log: d.o.Log, Registerer: d.o.Registerer})
	}
	if d.shared = d.leases.Shared(); d.shared {
		d.owner = d.leases.Owner()
	}
	d.alive, d.giveUp = context.WithCancel(context.Background())
}

// Owner is whom runs belong to that are begun for this driver: give it to Definition.New.
func (d *Driver) Owner() string { return d.owner }

// enter gets hold of the runs: all of them in a store of our own, else a lease for those to come.
func (d *Driver) enter(ctx context.Context, now time.Time) error {
	if d.shared {
		return d.live(ctx)
	}
	var taken int64
	err := d.store.Update(ctx, func(tx sqlstore.Tx) (err error) {
		taken, err = TakeOver(tx, d.owner, now)
		return err
	})
	if err == nil && taken > 0 {
		d.o.Log.InfoContext(ctx, "took over unfinished runs", "runs", taken, "owner", d.owner)
	}
	return err
}

// live holds the driver's own lease until Close, and returns once it is held.
func (d *Driver) live(ctx context.Context) error {
	held := make(chan struct{}, 1)
	d.lease.Go(func() {
		err := d.leases.Hold(d.alive, leasePrefix+d.owner, func(ctx context.Context, _ int64) error {
			d.living.Store(true)
			defer d.living.Store(false)
			select {
			case held <- struct{}{}:
			default: // it was lost meanwhile, and is held again
			}
			<-ctx.Done()
			return nil
		})
		if err != nil && d.alive.Err() == nil {
			d.o.Log.Error("the driver of runs has no lease", "owner", d.owner, "error", err)
		}
	})
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("hold the lease of driver %s: %w", d.owner, ctx.Err())
	}
}

// orphans tells whether there are unfinished runs whose owners live no more.
func (d *Driver) orphans(tx sqlstore.Tx) (owners []string, err error) {
	rows, err := tx.Query(`SELECT DISTINCT owner FROM saga_runs WHERE state IN ('running', 'compensating')`)
	if err != nil {
		return nil, fmt.Errorf("list owners of runs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var owner string
		if err := rows.Scan(&owner); err != nil {
			return nil, fmt.Errorf("list owners of runs: %w", err)
		}
		owners = append(owners, owner)
	}
	if err := rows.Err(); err != nil || len(owners) == 0 {
		return nil, err
	}
	return d.dead(tx, owners)
}

// dead keeps those owners whose leases have run out.
func (d *Driver) dead(tx sqlstore.Tx, owners []string) (gone []string, err error) {
	living, err := d.leases.Living(tx, leasePrefix)
	for _, owner := range owners {
		if owner != d.owner && !living[owner] {
			gone = append(gone, owner)
		}
	}
	return gone, err
}

// adopt takes over the runs of all who live no more.
func (d *Driver) adopt(ctx context.Context) error {
	var taken int64
	var from []string
	err := d.store.Update(ctx, func(tx sqlstore.Tx) (err error) {
		taken = 0
		if from, err = d.orphans(tx); err != nil {
			return err
		}
		now := d.o.Clock.Now()
		for _, owner := range from {
			n, err := takeFrom(tx, owner, d.owner, now)
			if err != nil {
				return err
			}
			taken += n
		}
		return lease.Forget(tx, leasePrefix, now.Add(-forgetAfter))
	})
	if err == nil && taken > 0 {
		d.metrics.takeovers.Add(float64(taken))
		d.o.Log.InfoContext(ctx, "took over the unfinished runs of drivers that live no more", "runs", taken, "from", from, "owner", d.owner)
	}
	return err
}

// takeFrom puts the unfinished runs of one owner into the hands of another, due at once.
func takeFrom(tx sqlstore.Tx, from, to string, now time.Time) (int64, error) {
	n, err := tx.Exec(`UPDATE saga_runs SET epoch = epoch + 1, owner = ?, next_at = ?
		WHERE owner = ? AND state IN ('running', 'compensating')`, to, micros(now), from)
	if err != nil {
		return 0, fmt.Errorf("take over the runs of %s for %s: %w", from, to, err)
	}
	return n, nil
}

// ours says that a run is this driver's to drive.
func (d *Driver) ours(r Run) bool { return !d.shared || r.Owner == d.owner }

// own makes a kicked run ours if its owner lives no more; a run of one who lives is left to it.
func (d *Driver) own(ctx context.Context, r Run) (Run, error) {
	if d.ours(r) || !r.State.Active() {
		return r, nil
	}
	err := d.store.Update(ctx, func(tx sqlstore.Tx) error {
		now, err := read(tx, r.ID)
		if err != nil {
			return err
		}
		gone, err := d.dead(tx, []string{now.Owner})
		if err != nil || len(gone) == 0 || !now.State.Active() {
			r = now
			return err
		}
		now.Owner, now.Epoch = d.owner, now.Epoch+1
		_, err = tx.Exec(`UPDATE saga_runs SET epoch = ?, owner = ? WHERE id = ?`, now.Epoch, now.Owner, now.ID)
		r = now
		return err
	})
	if err == nil && !d.ours(r) && r.State.Active() {
		err = fmt.Errorf("drive run %s: it is %s's: %w", r.ID, r.Owner, ErrFenced)
	}
	return r, err
}

// whose is the owner to whose runs the driver confines itself, "" for everybody's.
func (d *Driver) whose() string {
	if d.shared {
		return d.owner
	}
	return ""
}
