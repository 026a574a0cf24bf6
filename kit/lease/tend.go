package lease

import (
	"context"
	"time"
)

// round is one look at the store, or its answer.
type round struct {
	began  time.Time        // before the store was asked
	held   map[string]int64 // epochs by name: to be renewed; in the answer, ours
	wanted []string
	strays map[string]int64 // taken for somebody who has left meanwhile: to be given back
	err    error
}

// tend renews what is held, takes what becomes free, and ends tenures in time, until nothing is wanted any more. The
// store is asked beside, so that one that hangs cannot keep a tenure from ending.
func (k *Keeper) tend(gone chan struct{}) {
	timer := k.o.Clock.NewTimer(0)
	defer timer.Stop()
	answers := make(chan round, 1)
	asking, looked, next := false, time.Time{}, k.o.Clock.Now()
	for {
		if !asking && k.over(gone) {
			return
		}
		_, elsewhere := k.store.Elsewhere()
		if asking || !k.waits() {
			elsewhere = nil
		}
		select {
		case <-timer.C():
		case <-k.wake:
			next = k.o.Clock.Now()
		case <-elsewhere:
			next = earlier(next, looked.Add(lookMin))
		case answer := <-answers:
			asking = false
			next = k.settle(answer)
		}
		now := k.o.Clock.Now()
		k.watch(now)
		if !asking && !next.After(now) {
			asking, looked = true, now
			ask := k.plan(now)
			go func() { answers <- k.ask(ask) }()
		}
		timer.Reset(k.sleep(now, next, asking))
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// over ends the renewing when nothing is wanted.
func (k *Keeper) over(gone chan struct{}) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.claims) > 0 || len(k.strays) > 0 {
		return false
	}
	k.tending = nil
	close(gone)
	return true
}

// waits tells whether something is wanted that others may give back.
func (k *Keeper) waits() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.claims {
		if c.waiting != nil {
			return true
		}
	}
	return false
}

// sleep is until the next look, or until what is held is not surely ours any more.
func (k *Keeper) sleep(now, next time.Time, asking bool) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if asking {
		next = now.Add(k.o.TTL) // the answer comes by itself
	}
	if k.holds() {
		next = earlier(next, k.safe)
	}
	return max(0, next.Sub(now))
}

// holds tells whether anything is ours; k.mu is held.
func (k *Keeper) holds() bool {
	for _, c := range k.claims {
		if c.tenure != nil {
			return true
		}
	}
	return false
}

// watch ends all tenures when they could not be renewed for too long.
func (k *Keeper) watch(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Before(k.safe) {
		return
	}
	for _, c := range k.claims {
		if c.tenure != nil {
			k.lose(c, "it could not be renewed in time")
		}
	}
}

// lose ends a tenure; k.mu is held.
func (k *Keeper) lose(c *claim, why string) {
	k.o.Log.Warn("a lease was lost", "lease", c.name, "epoch", c.tenure.epoch, "why", why)
	k.metrics.lost(k.store.Name(), c.name)
	c.tenure.end()
	c.tenure = nil
}

// plan is what to ask of the store.
func (k *Keeper) plan(now time.Time) round {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := round{began: now, held: make(map[string]int64), strays: k.strays}
	k.strays = nil
	for name, c := range k.claims {
		switch {
		case c.tenure != nil:
			r.held[name] = c.tenure.epoch
		case c.waiting != nil:
			r.wanted = append(r.wanted, name)
		}
	}
	return r
}

// ask renews and takes in one transaction; a look at what others hold needs none.
func (k *Keeper) ask(r round) round {
	ctx, cancel := context.WithTimeout(context.Background(), k.o.TTL)
	defer cancel()
	for name, epoch := range r.strays {
		if err := k.release(ctx, name, epoch); err != nil {
			k.o.Log.Warn("a lease was not given back; it runs out by itself", "lease", name, "err", err)
		}
	}
	if len(r.held)+len(r.wanted) == 0 {
		return r
	}
	if len(r.held) == 0 {
		free, err := k.anyFree(ctx, r)
		if err != nil || !free {
			r.err = err
			return r
		}
	}
	r.held, r.err = k.renew(ctx, r)
	return r
}

// settle makes the answer known to those who hold and wait, and says when to look again.
func (k *Keeper) settle(r round) (next time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.err != nil {
		k.o.Log.Error("leases could not be renewed", "store", k.store.Name(), "err", r.err)
		return k.o.Clock.Now().Add(k.o.TTL / 10)
	}
	if len(r.held) > 0 {
		k.safe = r.began.Add(k.o.TTL * 5 / 6)
		k.metrics.renewed(k.store.Name())
	}
	waits := false
	for name, c := range k.claims {
		epoch, ours := r.held[name]
		if c.tenure != nil && (!ours || c.tenure.epoch != epoch) {
			k.lose(c, "another has taken it")
		}
		if c.tenure == nil && c.waiting != nil && ours {
			k.grant(c, epoch)
		}
		waits = waits || c.waiting != nil
	}
	k.strays = k.ownerless(r.held)
	switch {
	case len(k.strays) > 0:
		return r.began
	case waits:
		return r.began.Add(min(lookMax, k.o.TTL/3))
	}
	return r.began.Add(k.o.TTL/3 - time.Duration(k.o.Jitter()*float64(k.o.TTL/30)))
}

// ownerless are the leases that were taken for a Hold that has ended meanwhile; k.mu is held.
func (k *Keeper) ownerless(ours map[string]int64) map[string]int64 {
	strays := make(map[string]int64)
	for name, epoch := range ours {
		if c := k.claims[name]; c == nil || c.tenure == nil {
			strays[name] = epoch
		}
	}
	return strays
}

// grant begins a tenure; k.mu is held.
func (k *Keeper) grant(c *claim, epoch int64) {
	t := &tenure{epoch: epoch}
	t.ctx, t.end = context.WithCancel(context.Background())
	c.tenure = t
	c.waiting <- t
	c.waiting = nil
	k.metrics.granted(k.store.Name(), c.name, epoch)
	k.o.Log.Info("a lease is ours", "lease", c.name, "epoch", epoch, "owner", k.o.Owner)
}
