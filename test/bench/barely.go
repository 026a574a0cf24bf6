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

	"github.com/seed-21071466/souk/deploy/split/fleet"
)

// bare is the program of test/bench/bare, and what its windows have come to so far.
type bare struct {
	program, database, broker string
	like                      *placement // what it does as much as

	ways []*way
}

// way is one understanding of what it is to do the same commits.
type way struct {
	name          string
	commits, rows func(*found) float64 // of a checkout; of a commit
	found         found
}

// bareWays from the least to the most. The stores of a shop let updates share commits, which the program does not.
func bareWays() []*way {
	one := func(*found) float64 { return 1 }
	grouped := func(f *found) float64 { return f.perCheckout(f.commits) }
	each := func(f *found) float64 { return f.perCheckout(f.updates) }
	rows := func(f *found) float64 { return f.server.rows / max(f.updates, 1) }
	return []*way{
		{"bare: split's commits, a row each", grouped, one, newFound()},
		{"bare: a commit an update, a row each", each, one, newFound()},
		{"bare: a commit an update, split's rows", each, rows, newFound()},
	}
}

// bareResult is what the program prints.
type bareResult struct {
	Checkouts, Commits, Published int64
	Seconds                       float64
	CPU                           float64 `json:"cpu_seconds"`
	Micros                        []int64
}

// openBare builds the program and gives it a database; nil when it is not asked for, or there is nothing to do as much as.
func (b *bench) openBare(ctx context.Context, e *fleet.Engines, all []*placement) (*bare, error) {
	at := slices.IndexFunc(all, func(p *placement) bool { return p.name == placeSplit })
	if at < 0 || !b.measures(placeBare) {
		return nil, nil
	}
	p := &bare{like: all[at], program: b.dir + "/bare", broker: e.NATS.URL(), ways: bareWays()}
	build := exec.CommandContext(ctx, "go", "build", "-o", p.program, "github.com/seed-21071466/souk/test/bench/bare")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the bare program: %w: %s", err, out)
	}
	var err error
	p.database, err = e.Postgres.Database(ctx, "bare")
	return p, err
}

// turnBare does as much a checkout as split did in all its turns so far, by all clients and by one alone. What split did
// for a client that was alone, where nothing is shared, is what the program does for one.
func (b *bench) turnBare(ctx context.Context, p *bare, round int) error {
	if p == nil {
		return nil
	}
	f := &p.like.found
	alone := found{checkouts: int64(f.singly.checkouts), updates: f.singly.commits, commits: f.singly.commits, published: f.singly.published}
	alone.server.rows = f.server.rows / max(f.updates, 1) * alone.updates
	for _, w := range p.ways {
		progress("round %d of %d, %s: %.1f commits of %.1f rows, %.1f publications a checkout", round+1, b.Rounds, w.name,
			w.commits(f), w.rows(f), f.perCheckout(f.published))
		if err := p.window(ctx, w, &w.found, f, b.Clients, b.turnOf()); err != nil {
			return err
		}
		single := newFound()
		if err := p.window(ctx, w, &single, &alone, 1, b.turnOf()/4); err != nil {
			return err
		}
		w.found.aloneAll.merge(single.whole)
	}
	return nil
}

// window runs the program once, to do as much as like.
func (p *bare) window(ctx context.Context, w *way, into, like *found, clients int, length time.Duration) error {
	before, err := p.read(ctx)
	if err != nil {
		return err
	}
	r, err := p.run(ctx, clients, length, w.commits(like), w.rows(like), like.perCheckout(like.published))
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
	into.server.rows += (after.server.rows - before.server.rows) * share
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

func (p *bare) run(ctx context.Context, clients int, length time.Duration, commits, rows, published float64) (r bareResult, err error) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	cmd := exec.CommandContext(ctx, p.program, "-postgres", p.database, "-nats", p.broker, "-clients", strconv.Itoa(clients),
		"-window", length.String(), "-warm-up", bareWarmUp.String(), "-commits", number(commits), "-rows", number(rows), "-publishes", number(published))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("run the bare program: %w: %s", err, tail(said.Bytes()))
	}
	return r, json.Unmarshal(out, &r)
}
