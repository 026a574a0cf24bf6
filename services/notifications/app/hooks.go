package app

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/services/notifications/endpoint"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// deliver makes the deliveries of one piece of news.
func deliver(news notice.News, told []endpoint.Endpoint, now time.Time) (all []endpoint.Delivery) {
	var body []byte
	for _, to := range told {
		if !to.Wants(news.Event) {
			continue
		}
		if body == nil {
			body = news.Body()
		}
		all = append(all, endpoint.Tell(to, news, body, now))
	}
	return all
}

// tellers are the endpoints that are being told, one goroutine each: a slow one holds up nobody but itself.
type tellers struct {
	mu   sync.Mutex
	busy map[string]bool
	work sync.WaitGroup
}

// begin takes an endpoint; only one teller has it at a time.
func (t *tellers) begin(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[id] {
		return false
	}
	t.busy[id] = true
	return true
}

func (t *tellers) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, id)
}

// tellEndpoints sets a teller to each endpoint that has something due, until ctx ends.
func (n *Notifications) tellEndpoints(ctx context.Context) {
	t := &tellers{busy: make(map[string]bool, endpoint.Max)}
	defer t.work.Wait()
	for ctx.Err() == nil {
		next, err := n.setTellers(ctx, t)
		if err != nil {
			next = n.failed(ctx, "deliveries could not be read", err)
		}
		n.sleep(ctx, n.hooks, next)
	}
}

// setTellers tells when the next endpoint without a teller has something due.
func (n *Notifications) setTellers(ctx context.Context, t *tellers) (next time.Time, err error) {
	var due map[string]time.Time
	err = n.glance(ctx, func(r rows) error {
		due, err = r.nextDeliveries()
		return err
	})
	for id, at := range due {
		switch {
		case !t.begin(id): // who is busy wakes us when it is done
		case at.After(n.now()):
			t.end(id)
			if next.IsZero() || at.Before(next) {
				next = at
			}
		default:
			t.work.Go(func() {
				defer n.hooks.wake()
				defer t.end(id)
				n.tellAll(ctx, id)
			})
		}
	}
	return next, err
}

// tellAll tells one endpoint what is due.
func (n *Notifications) tellAll(ctx context.Context, id string) {
	for ctx.Err() == nil {
		done, err := n.hookRound(ctx, id)
		if err != nil {
			n.sleep(ctx, nil, n.failed(ctx, "endpoint "+id+" could not be told", err))
		}
		if err != nil || done == 0 {
			return
		}
	}
}

// hookRound tells an endpoint one batch, then writes down in one transaction how it went.
func (n *Notifications) hookRound(ctx context.Context, id string) (done int, err error) {
	var to endpoint.Endpoint
	var due []endpoint.Delivery
	err = n.view(ctx, func(r rows) error {
		if to, err = r.endpoint(id); err != nil || to.Disabled {
			due = nil
			return orNone(err)
		}
		due, err = r.dueDeliveries(id, n.now(), hookBatch)
		return err
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	after, gone := n.post(ctx, to, due)
	return len(due), n.mark(ctx, func(r rows) error {
		for i := range due {
			if err := r.updateDelivery(due[i], after[i]); err != nil {
				return err
			}
		}
		if gone {
			if err := r.disable(to); err != nil {
				return err
			}
		}
		r.AfterCommit(func() { n.metrics.told(due, after) })
		return nil
	})
}

// post gives the deliveries as they are afterwards; one that was not come to stays as it is.
func (n *Notifications) post(ctx context.Context, to endpoint.Endpoint, due []endpoint.Delivery) (after []endpoint.Delivery, gone bool) {
	after = append([]endpoint.Delivery(nil), due...)
	answers := make([]endpoint.Answer, len(due))
	var group errgroup.Group
	group.SetLimit(hookAtOnce)
	for i, d := range due {
		group.Go(func() error {
			answers[i] = n.Hooks.Post(ctx, to, d, n.now())
			return nil
		})
	}
	_ = group.Wait()
	for i, a := range answers {
		if !a.Taken() && ctx.Err() != nil {
			continue // the room closes: that is no failure
		}
		after[i] = due[i].Answered(a, n.now(), n.o.RetryFirst, spread())
		gone = gone || a.Gone()
	}
	n.complainOfHooks(ctx, to.ID, answers, after)
	return after, gone
}

// complainOfHooks logs once a round that an endpoint did not take what it was told.
func (n *Notifications) complainOfHooks(ctx context.Context, id string, answers []endpoint.Answer, after []endpoint.Delivery) {
	missed, why := 0, ""
	for i, a := range answers {
		if !a.Taken() {
			missed, why = missed+1, after[i].LastError
		}
	}
	if missed > 0 && ctx.Err() == nil {
		n.Log.WarnContext(ctx, "an endpoint did not take what it was told", "endpoint", id, "deliveries", missed, "why", why)
	}
}
