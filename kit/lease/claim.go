package lease

import (
	"context"
	"errors"
	"fmt"
)

// claim is a name that this process wants, or holds.
type claim struct {
	name    string
	waiting chan *tenure // Hold stands here; nil while run is at work
	tenure  *tenure      // nil while the lease is not ours
}

// tenure is one time of holding.
type tenure struct {
	ctx   context.Context
	end   context.CancelFunc
	epoch int64
}

var errTaken = errors.New("it is held or waited for in this process already")

// enter makes the name wanted, and sees to it that somebody renews.
func (k *Keeper) enter(name string) (*claim, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.claims[name] != nil:
		return nil, fmt.Errorf("hold lease %s: %w", name, errTaken)
	case len(k.claims) >= NamesMax:
		return nil, fmt.Errorf("hold lease %s: this process holds or wants %d others already", name, NamesMax)
	}
	c := &claim{name: name}
	k.claims[name] = c
	if k.tending == nil {
		k.tending = make(chan struct{})
		go k.tend(k.tending)
	}
	return c, nil
}

// await waits until the lease is ours.
func (k *Keeper) await(ctx context.Context, c *claim) (*tenure, error) {
	granted := make(chan *tenure, 1)
	k.mu.Lock()
	c.waiting = granted
	k.mu.Unlock()
	k.nudge()
	select {
	case t := <-granted:
		return bind(ctx, t), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bind is the tenure as run sees it: it has the values of the caller's context, and ends with it.
func bind(ctx context.Context, t *tenure) *tenure {
	both, cancel := context.WithCancel(ctx)
	unbind := context.AfterFunc(t.ctx, cancel)
	return &tenure{ctx: both, end: func() { unbind(); cancel() }, epoch: t.epoch}
}

// leave gives the lease back, if it is ours, and ends the renewing with the last claim.
func (k *Keeper) leave(ctx context.Context, c *claim) {
	if t := k.drop(c); t != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseMax)
		defer cancel()
		if err := k.release(ctx, c.name, t.epoch); err != nil {
			k.o.Log.WarnContext(ctx, "a lease was not given back; it runs out by itself", "lease", c.name, "err", err)
		}
	}
	if last := k.lastGone(); last != nil {
		k.nudge()
		<-last
	}
}

// drop takes the claim off the list and gives its tenure.
func (k *Keeper) drop(c *claim) *tenure {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := c.tenure
	if t != nil {
		k.metrics.left(k.store.Name(), c.name)
		t.end()
	}
	c.tenure, c.waiting = nil, nil
	delete(k.claims, c.name)
	return t
}

// lastGone is what closes when the renewing has ended, if nobody wants it any more.
func (k *Keeper) lastGone() chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.claims) > 0 {
		return nil
	}
	return k.tending
}

func (k *Keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default: // it will look anyhow
	}
}
