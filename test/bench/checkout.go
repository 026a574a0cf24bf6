package main

import (
	"context"
	"fmt"
	"time"
)

const (
	openShare   = 0.7 // of the sustained rate: strangers do not wait for each other, so some room must be left
	openClients = 256 // who can be served at once in the open loop; the wait for a free one counts as latency
	fillMax     = time.Hour
	fillStall   = 30 * time.Second // without a new order, after which filling is given up
)

func (b *bench) shoppers(s *server, g *goods, n int, t *tally) []client {
	all := make([]client, n)
	for i := range all {
		all[i] = newShopper(s, g, i, t.to.Add(grace))
	}
	return all
}

// checkouts measures the closed loop, lets the consumers catch up, checks the books and gives the sustained rate.
func (b *bench) checkouts(ctx context.Context, s *server, g *goods) (float64, error) {
	progress("checkouts by %d clients for %v; the server is process %d", b.Clients, b.Duration, s.cmd.Process.Pid)
	t := newTally(time.Now().Add(warmUp), b.Duration)
	u, err := observe(ctx, s, t, func() { closedLoop(ctx, t, b.shoppers(s, g, b.Clients, t)) })
	if err != nil {
		return 0, err
	}
	section := fmt.Sprintf("whole guest checkouts, %d clients, %v", b.Clients, b.Duration)
	b.report.add(section, "sustained", t.rate(), "/s", barCheckouts)
	for i, rate := range t.byWindow() {
		b.report.add(section, fmt.Sprintf("second %d to %d", i*10, i*10+10), rate, "/s")
	}
	b.report.add(section, "server CPU a checkout", perThing(u.server, t.whole.count()), "ms", barCPU)
	b.report.add(section, "load generator's CPU a checkout", perThing(u.own, t.whole.count()), "ms")
	b.report.add(section, "cores busy with other programs", u.others.Seconds()/t.length().Seconds(), "")
	b.tellCommits(section, u, t)
	b.report.add(section, "consumers behind at the end", u.behind, "s", barBehind)
	b.tellLatencies(section, t)
	return t.rate(), b.checkBooks(ctx, s, section)
}

func (b *bench) tellCommits(section string, u used, t *tally) {
	commits, updates := 0.0, 0.0
	for _, store := range sortedKeys(u.commits) {
		if u.commits[store] == 0 {
			continue
		}
		commits, updates = commits+u.commits[store], updates+u.updates[store]
		b.report.add(section, "updates a commit, "+store, u.updates[store]/u.commits[store], "")
	}
	b.report.add(section, "durable commits", commits/t.length().Seconds(), "/s")
	b.report.add(section, "updates a checkout", updates/float64(max(t.whole.count(), 1)), "")
	b.report.add(section, "updates a commit", updates/max(commits, 1), "")
}

func (b *bench) tellLatencies(section string, t *tally) {
	for kind, h := range t.calls {
		b.report.addLatency(section, callNames[kind], h)
	}
	b.report.addLatency(section, "the whole", t.whole)
	b.report.addErrors(t.errors)
}

// checkBooks waits for the consumers and runs souk verify.
func (b *bench) checkBooks(ctx context.Context, s *server, section string) error {
	progress("souk verify")
	took, err := s.settle(ctx)
	if err != nil {
		return err
	}
	b.report.add(section, "consumers at the end after", took.Seconds(), "s")
	peak, err := s.memory("VmHWM")
	if err != nil {
		return err
	}
	b.report.add(section, "peak memory so far", peak/mega, "MB", barMemory)
	verdict, took := s.verify(ctx)
	b.report.Verify = verdict
	b.report.add(section, "souk verify took", took.Seconds(), "s")
	return nil
}

// arrivals measures the open loop.
func (b *bench) arrivals(ctx context.Context, s *server, g *goods, rate float64) error {
	if rate <= 0 {
		progress("no open loop: no checkout was finished in the closed one")
		return nil
	}
	progress("checkouts that arrive at %.0f a second for %v", rate, b.Open)
	t := newTally(time.Now().Add(warmUp), b.Open)
	u, err := observe(ctx, s, t, func() { openLoop(ctx, t, b.shoppers(s, g, openClients, t), rate) })
	if err != nil {
		return err
	}
	section := fmt.Sprintf("checkouts that arrive at %.0f a second, %v", rate, b.Open)
	b.report.add(section, "finished", t.rate(), "/s")
	b.report.add(section, "server CPU a checkout", perThing(u.server, t.whole.count()), "ms", barCPU)
	b.report.add(section, "consumers behind at the end", u.behind, "s", barBehind)
	b.tellLatencies(section, t)
	return nil
}

// alone measures a single client; judgeSingle holds it to the disk once all of the disk is known.
func (b *bench) alone(ctx context.Context, s *server, g *goods) error {
	progress("%d checkouts of a single client", b.Single)
	if _, err := s.settle(ctx); err != nil {
		return err
	}
	t := newTally(time.Now(), startMax)
	c := newShopper(s, g, 0, t.to)
	defer c.close()
	for range b.Single {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		begun := time.Now()
		t.done(begun, c.Do(t))
	}
	b.single = t.calls[callCheckout]
	b.tellLatencies("single client", t)
	return nil
}

// The checkout of one client makes its commits one after the other, so the disk says what is possible.
const (
	singleSyncs = 6
	singleOwnMS = 3.0
)

func (b *bench) judgeSingle() {
	if b.single == nil || b.single.count() == 0 {
		return
	}
	held := bar{Limit: singleSyncs*b.disk.meanMS() + singleOwnMS, AtMost: true}
	b.report.add("single client", fmt.Sprintf("POST checkout p50 (bar: %d × mean fdatasync + %.0f ms)", singleSyncs, singleOwnMS),
		b.single.quantile(50), "ms", held)
}

// fill makes orders until the shop has as many as asked for.
func (b *bench) fill(ctx context.Context, s *server, g *goods) error {
	missing := int64(b.Orders) - g.sold.Load()
	if missing <= 0 {
		return nil
	}
	progress("filling up to %d orders: %d more", b.Orders, missing)
	filling, enough := context.WithTimeout(ctx, fillMax)
	defer enough()
	t := newTally(time.Now(), fillMax)
	go func() { defer enough(); g.reach(filling, int64(b.Orders)) }()
	closedLoop(filling, t, b.shoppers(s, g, b.Clients, t))
	b.report.addErrors(t.errors)
	if sold := g.sold.Load(); sold < int64(b.Orders) {
		return fmt.Errorf("fill up to %d orders: it went no further than %d; errors: %v", b.Orders, sold, t.errors)
	}
	_, err := s.settle(ctx)
	return err
}

// reach waits until so many orders have been made, or none more has been for long.
func (g *goods) reach(ctx context.Context, n int64) {
	last, moved := g.sold.Load(), time.Now()
	for ctx.Err() == nil && last < n && time.Since(moved) < fillStall {
		wait(ctx, settlePoll)
		if sold := g.sold.Load(); sold > last {
			last, moved = sold, time.Now()
		}
	}
}
