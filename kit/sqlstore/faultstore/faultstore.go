// Package faultstore wraps a store's driver so that it fails, waits and runs functions twice, by seed: what a full disk,
// a slow one and a serialization conflict do.
package faultstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Options say how often, as shares between 0 and 1, and how long. The zero value changes nothing.
type Options struct {
	Seed      uint64
	Fail      float64       // an update fails before it has begun
	Lose      float64       // an update is kept, and its caller is told that it failed
	Twice     float64       // an update's function runs, is undone, and runs again
	FailViews float64       // a view fails
	DelayMax  time.Duration // each call waits up to so long first
}

// Wrap is for sqlstore.Options.Wrap.
func Wrap(o Options) func(sqlstore.Driver) sqlstore.Driver {
	return func(d sqlstore.Driver) sqlstore.Driver {
		return &driver{Driver: d, o: o, dice: rand.New(rand.NewPCG(o.Seed, o.Seed))}
	}
}

type driver struct {
	sqlstore.Driver
	o    Options
	mu   sync.Mutex // guards dice
	dice *rand.Rand
}

var errFault = errors.New("fault injected")

func unavailable() error {
	return problem.New(problem.Unavailable, "storage_unavailable", "This could not be saved. Please try again in a moment.").Because(errFault)
}

func (d *driver) falls(share float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dice.Float64() < share
}

func (d *driver) wait(ctx context.Context) error {
	if d.o.DelayMax <= 0 {
		return nil
	}
	d.mu.Lock()
	delay := time.Duration(d.dice.Int64N(int64(d.o.DelayMax)))
	d.mu.Unlock()
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *driver) View(ctx context.Context, fn func(sqlstore.Tx) error) error {
	return d.look(ctx, fn, d.Driver.View)
}

func (d *driver) Glance(ctx context.Context, fn func(sqlstore.Tx) error) error {
	return d.look(ctx, fn, d.Driver.Glance)
}

func (d *driver) look(ctx context.Context, fn func(sqlstore.Tx) error, look func(context.Context, func(sqlstore.Tx) error) error) error {
	if err := d.wait(ctx); err != nil {
		return err
	}
	if d.falls(d.o.FailViews) {
		return unavailable()
	}
	return look(ctx, fn)
}

func (d *driver) Update(ctx context.Context, fn func(sqlstore.Tx) error) error {
	if err := d.wait(ctx); err != nil {
		return err
	}
	if d.falls(d.o.Fail) {
		return unavailable()
	}
	if d.falls(d.o.Twice) {
		d.rehearse(ctx, fn)
	}
	err := d.Driver.Update(ctx, fn)
	if err == nil && d.falls(d.o.Lose) {
		return unavailable()
	}
	return err
}

// rehearse runs the function in an update that is undone, as a driver does that has to run it again.
func (d *driver) rehearse(ctx context.Context, fn func(sqlstore.Tx) error) {
	_ = d.Driver.Update(ctx, func(tx sqlstore.Tx) error {
		_ = fn(tx)
		return errFault
	})
}
