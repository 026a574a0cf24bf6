package main

import (
	"context"
	"time"
)

// snapshot is the processor time used up to a moment, and the server's metrics then.
type snapshot struct {
	server, own, all time.Duration
	metrics          samples
}

func (s *server) snapshot() (snapshot, error) {
	metrics, err := s.metrics()
	if err != nil {
		return snapshot{}, err
	}
	all, err := allCPU()
	if err != nil {
		return snapshot{}, err
	}
	server, err := s.cpu()
	return snapshot{server, ownCPU(), all, metrics}, err
}

// used is what a window took.
type used struct {
	server, own time.Duration
	others      time.Duration      // what else ran on this machine: noise
	commits     map[string]float64 // by store
	updates     map[string]float64 // that the commits carried
	behind      float64            // seconds, of the slowest consumer, at the window's end
}

// observe runs a load and says what its window took; the load ends by itself after the window.
func observe(ctx context.Context, s *server, t *tally, load func()) (used, error) {
	ended := make(chan struct{})
	go func() { defer close(ended); load() }()
	defer func() { <-ended }()
	wait(ctx, time.Until(t.from))
	before, err := s.snapshot()
	if err != nil {
		return used{}, err
	}
	wait(ctx, time.Until(t.to))
	after, err := s.snapshot()
	if err != nil {
		return used{}, err
	}
	server, own := after.server-before.server, after.own-before.own
	return used{
		server: server, own: own, others: max(0, after.all-before.all-server-own), behind: after.metrics.behind(),
		commits: grown(before, after, "souk_sqlstore_group_size_count"),
		updates: grown(before, after, "souk_sqlstore_group_size_sum"),
	}, ctx.Err()
}

func grown(before, after snapshot, metric string) map[string]float64 {
	was, is := before.metrics.of(metric, "store"), after.metrics.of(metric, "store")
	for store := range is {
		is[store] -= was[store]
	}
	return is
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// perThing is processor time in milliseconds for each of n things.
func perThing(d time.Duration, n int64) float64 { return d.Seconds() * 1000 / float64(max(n, 1)) }

const (
	settleMax  = 2 * time.Minute // for consumers to reach the end
	settlePoll = 100 * time.Millisecond
)

// settle waits until every consumer has seen everything, and says how long that took.
func (s *server) settle(ctx context.Context) (time.Duration, error) {
	for begun := time.Now(); ; wait(ctx, settlePoll) {
		m, err := s.metrics()
		took := time.Since(begun)
		if err != nil || ctx.Err() != nil || m.behind() == 0 || took > settleMax {
			return took, err
		}
	}
}
