package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// bare is the program of test/bench/bare, and what its windows have come to so far.
type bare struct {
	program, database, broker string
	like                      *placement // what it does as much as

	grouped found // as many commits as the shop's stores made, which share some among updates
	each    found // a commit for every update
}

// bareResult is what the program prints.
type bareResult struct {
	Checkouts, Commits, Published int64
	Seconds                       float64
	CPU                           float64 `json:"cpu_seconds"`
	Micros                        []int64
}

// openBare builds the program and gives it a database; nil when it is not asked for, or there is nothing to do as much as.
func (b *bench) openBare(ctx context.Context, e *engines, all []*placement) (*bare, error) {
	at := slices.IndexFunc(all, func(p *placement) bool { return p.name == placeSplit })
	if at < 0 || !b.measures(placeBare) {
		return nil, nil
	}
	p := &bare{like: all[at], program: b.dir + "/bare", broker: e.nats.URL(), grouped: newFound(), each: newFound()}
	build := exec.CommandContext(ctx, "go", "build", "-o", p.program, "github.com/seed-21071466/souk/test/bench/bare")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the bare program: %w: %s", err, out)
	}
	var err error
	p.database, err = e.postgres.Database(ctx, "bare")
	return p, err
}

// turnBare does as much a checkout as split did in all its turns so far, first with the shared commits, then with a
// commit an update; then the same alone, where nothing is shared.
func (b *bench) turnBare(ctx context.Context, p *bare, round int) error {
	if p == nil {
		return nil
	}
	f := &p.like.found
	progress("round %d of %d, the bare program: %.1f and %.1f commits, %.1f publications a checkout", round+1, b.Rounds,
		f.perCheckout(f.commits), f.perCheckout(f.updates), f.perCheckout(f.published))
	for _, w := range []struct {
		into    *found
		commits float64
	}{{&p.grouped, f.perCheckout(f.commits)}, {&p.each, f.perCheckout(f.updates)}} {
		if err := p.window(ctx, w.into, b.Clients, b.turnOf(), w.commits, f.perCheckout(f.published)); err != nil {
			return err
		}
	}
	alone, n := newFound(), max(f.singly.checkouts, 1)
	if err := p.window(ctx, &alone, 1, b.turnOf()/2, f.singly.commits/n, f.singly.published/n); err != nil {
		return err
	}
	p.each.aloneAll.merge(alone.whole)
	p.grouped.aloneAll.merge(alone.whole)
	return nil
}

// window runs the program once.
func (p *bare) window(ctx context.Context, into *found, clients int, length time.Duration, commits, published float64) error {
	before, err := p.read(ctx)
	if err != nil {
		return err
	}
	r, err := p.run(ctx, clients, length, commits, published)
	if err != nil {
		return err
	}
	after, err := p.read(ctx)
	if err != nil {
		return err
	}
	for _, us := range r.Micros {
		into.whole.record(time.Duration(us) * time.Microsecond)
	}
	share := r.Seconds / (r.Seconds + bareWarmUp.Seconds()) // the engines are looked at from outside, before and after
	into.checkouts, into.length = into.checkouts+r.Checkouts, into.length+time.Duration(r.Seconds*float64(time.Second))
	into.shop += time.Duration(r.CPU * float64(time.Second))
	into.engines += time.Duration(float64(after.engines-before.engines) * share)
	into.server.syncs += (after.server.syncs - before.server.syncs) * share
	into.commits, into.updates = into.commits+float64(r.Commits), into.updates+float64(r.Commits)
	into.published += float64(r.Published)
	return nil
}

func (p *bare) read(ctx context.Context) (r reading, err error) {
	if r.server, err = counts(ctx, p.database); err != nil {
		return r, err
	}
	r.each, r.engines, err = enginesCPU()
	return r, err
}

// bareWarmUp is the program's load before its window.
const bareWarmUp = time.Second

func (p *bare) run(ctx context.Context, clients int, length time.Duration, commits, published float64) (r bareResult, err error) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	cmd := exec.CommandContext(ctx, p.program, "-postgres", p.database, "-nats", p.broker, "-clients", strconv.Itoa(clients),
		"-window", length.String(), "-warm-up", bareWarmUp.String(), "-commits", number(commits), "-publishes", number(published))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("run the bare program: %w: %s", err, tail(said.Bytes()))
	}
	return r, json.Unmarshal(out, &r)
}
