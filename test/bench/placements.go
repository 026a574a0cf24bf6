package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/deploy/split/fleet"
)

// restFor is how long processes are watched that have nothing to do.
const restFor = 10 * time.Second

// found is what the windows of a placement have come to so far.
type found struct {
	checkouts int64         // by all clients
	length    time.Duration // of their windows
	whole     *histogram    // of all clients: a whole checkout, from the cart on
	order     *histogram    // its POST checkout
	alone     *histogram    // the same, of a client that is alone
	aloneAll  *histogram    // a whole checkout of that client
	shop      time.Duration // processor time
	engines   time.Duration
	each      map[string]time.Duration // the same by room or engine
	server    serverCounts
	commits   float64 // that the stores made
	updates   float64 // that these carried
	published float64
	singly    lone    // of the client that is alone
	rest      float64 // share of one core that the busiest process takes at rest
	restAll   float64 // and all of them
	fresh     memory  // before the first checkout
	then      memory  // after the last
}

// lone counts what a client that is alone has caused.
type lone struct {
	checkouts, commits, published float64
}

// memory of a placement's processes, in bytes.
type memory struct{ together, largest, most float64 }

func newFound() found {
	return found{each: map[string]time.Duration{}, whole: newHistogram(), order: newHistogram(), alone: newHistogram(), aloneAll: newHistogram()}
}

// placements measures the ways to run one shop beside each other, and beside a bare program on the same engines. All are
// up all the time and take turns, so that a slow minute of the machine meets each of them.
func (b *bench) placements(ctx context.Context) (err error) {
	progress("engines, and every placement")
	e, err := startEngines(ctx, b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	all, err := b.openPlacements(ctx, e)
	defer func() { err = errors.Join(err, closePlacements(all)) }()
	if err != nil {
		return err
	}
	bare, err := b.openBare(ctx, e, all)
	if err != nil {
		return err
	}
	if err := b.atRest(ctx, all); err != nil {
		return err
	}
	for round := range b.Rounds {
		for _, p := range all {
			if err := b.turn(ctx, p, round); err != nil {
				return err
			}
		}
		if err := b.turnBare(ctx, bare, round); err != nil {
			return err
		}
	}
	return b.tellPlacements(ctx, all, bare)
}

func (b *bench) openPlacements(ctx context.Context, e *fleet.Engines) (all []*placement, err error) {
	for _, name := range places {
		if name == placeBare || !b.measures(name) {
			continue
		}
		p, err := b.openPlacement(ctx, e, name)
		all = append(all, p)
		if err != nil {
			return all, err
		}
		p.found = newFound()
	}
	for _, p := range all {
		if _, err := p.settle(ctx); err != nil {
			return all, err
		}
	}
	return all, nil
}

// atRest watches processes that have nothing to do.
func (b *bench) atRest(ctx context.Context, all []*placement) error {
	length := min(restFor, b.Duration)
	progress("nothing, for %v", length)
	before := map[int]time.Duration{}
	for _, p := range all {
		for _, process := range p.fleet.Processes {
			s, err := readStat(fmt.Sprintf("/proc/%d", process.PID()))
			if err != nil {
				return err
			}
			before[s.pid] = s.cpu
		}
	}
	wait(ctx, length)
	for _, p := range all {
		for _, process := range p.fleet.Processes {
			s, err := readStat(fmt.Sprintf("/proc/%d", process.PID()))
			if err != nil {
				return err
			}
			share := (s.cpu - before[s.pid]).Seconds() / length.Seconds()
			p.found.rest, p.found.restAll = max(p.found.rest, share), p.found.restAll+share
		}
		var err error
		if p.found.fresh, err = p.memory(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// turn lets all clients buy, then one alone.
func (b *bench) turn(ctx context.Context, p *placement, round int) error {
	progress("round %d of %d, %s: %d clients for %v, then %d checkouts of one", round+1, b.Rounds, p.name, b.Clients, b.turnOf(), b.Single)
	t := newTally(time.Now().Add(warmUp), b.turnOf())
	if err := p.observe(ctx, t, func() { closedLoop(ctx, t, p.shoppers(b.Clients, t.to.Add(grace))) }); err != nil {
		return err
	}
	b.report.addErrors(t.errors)
	if _, err := p.settle(ctx); err != nil {
		return err
	}
	return b.turnAlone(ctx, p)
}

// turnAlone lets one client buy.
func (b *bench) turnAlone(ctx context.Context, p *placement) error {
	before, _, err := p.metrics()
	if err != nil {
		return err
	}
	t := newTally(time.Now(), startMax)
	c := p.shoppers(1, t.to)[0]
	defer c.close()
	for range b.Single {
		begun := time.Now()
		t.done(begun, c.Do(t))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if _, err := p.settle(ctx); err != nil {
		return err
	}
	after, _, err := p.metrics()
	if err != nil {
		return err
	}
	p.found.alone.merge(t.calls[callCheckout])
	p.found.aloneAll.merge(t.whole)
	p.found.singly.checkouts += float64(t.whole.count())
	p.found.singly.commits += after.sum(commitsCount) - before.sum(commitsCount)
	p.found.singly.published += after.sum(publishedCount) - before.sum(publishedCount)
	b.report.addErrors(t.errors)
	return nil
}

// The metrics by which the durable work of a shop is counted.
const (
	commitsCount   = "souk_sqlstore_commit_seconds_count"
	groupsCount    = "souk_sqlstore_group_size_sum"
	publishedCount = "souk_bus_relay_published_total"
)

// sum adds up all series of a metric.
func (m samples) sum(metric string) (total float64) {
	for key, value := range m {
		if name, _, _ := strings.Cut(key, "{"); name == metric {
			total += value
		}
	}
	return total
}

// reading is a placement and its engines at one moment.
type reading struct {
	shop, engines time.Duration
	each          map[string]time.Duration
	metrics       samples
	server        serverCounts
}

func (p *placement) read(ctx context.Context) (r reading, err error) {
	if r.metrics, _, err = p.metrics(); err != nil {
		return r, err
	}
	if r.server, err = counts(ctx, p.database); err != nil {
		return r, err
	}
	if r.each, r.engines, err = enginesCPU(); err != nil {
		return r, err
	}
	for _, process := range p.fleet.Processes {
		s, err := readStat(fmt.Sprintf("/proc/%d", process.PID()))
		if err != nil {
			return r, err
		}
		r.shop += s.cpu
		r.each[process.Target] += s.cpu
	}
	return r, nil
}

// enginesCPU is the processor time of each engine, and of all.
func enginesCPU() (each map[string]time.Duration, total time.Duration, err error) {
	each = map[string]time.Duration{}
	relatives, err := lookAtKin(false)
	for name, u := range relatives {
		if slices.Contains(enginePrograms, name) {
			each[name] = u.cpu
			total += u.cpu
		}
	}
	return each, total, err
}

// observe runs a load and keeps what its window took.
func (p *placement) observe(ctx context.Context, t *tally, load func()) error {
	ended := make(chan struct{})
	go func() { defer close(ended); load() }()
	defer func() { <-ended }()
	wait(ctx, time.Until(t.from))
	before, err := p.read(ctx)
	if err != nil {
		return err
	}
	wait(ctx, time.Until(t.to))
	after, err := p.read(ctx)
	if err != nil {
		return err
	}
	p.found.add(t, before, after)
	return ctx.Err()
}

func (f *found) add(t *tally, before, after reading) {
	grown := func(metric string) float64 { return after.metrics.sum(metric) - before.metrics.sum(metric) }
	f.checkouts, f.length = f.checkouts+t.whole.count(), f.length+t.length()
	f.whole.merge(t.whole)
	f.order.merge(t.calls[callCheckout])
	f.shop, f.engines = f.shop+after.shop-before.shop, f.engines+after.engines-before.engines
	for name, cpu := range after.each {
		f.each[name] += cpu - before.each[name]
	}
	f.server.commits += after.server.commits - before.server.commits
	f.server.syncs += after.server.syncs - before.server.syncs
	f.server.rows += after.server.rows - before.server.rows
	f.commits, f.updates = f.commits+grown(commitsCount), f.updates+grown(groupsCount)
	f.published += grown(publishedCount)
}

func (f *found) rate() float64 { return float64(f.checkouts) / f.length.Seconds() }

// perCheckout is a count for each checkout of all clients.
func (f *found) perCheckout(total float64) float64 { return total / float64(max(f.checkouts, 1)) }

func (s *settings) measures(place string) bool {
	return slices.Contains(strings.Split(s.Places, ","), place)
}

// turnOf is the length of each turn of a placement.
func (s *settings) turnOf() time.Duration {
	return max(s.Duration/time.Duration(s.Rounds), time.Second)
}
