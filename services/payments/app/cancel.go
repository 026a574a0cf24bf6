package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
)

// reasonMax bounds the reason of a cancellation.
const reasonMax = 200

// Cancellation undoes what a run's Authorize did for an order.
type Cancellation struct {
	Order  string
	Run    string // empty: of whatever run
	Reason string // for the log
}

// Cancel calls a payment off. One that finds nothing buries it: what that run
// still tries to authorize is refused. What was captured stays captured, and a
// capture that was begun before is seen through first; one that comes later is
// refused. The answer is the intent as it is then, without an id when there is
// none; canceling means that the provider has not agreed yet and will be asked
// until it does.
func (p *Payments) Cancel(ctx context.Context, c Cancellation) (intent.Intent, error) {
	if !id.Valid(c.Order) || c.Run != "" && !id.Valid(c.Run) {
		return intent.Intent{}, problem.Field("order_id", "malformed", "must be an order's id, and run_id a run's")
	}
	c.Reason = strings.ToValidUTF8(c.Reason[:min(len(c.Reason), reasonMax)], "")
	live, err := p.callOff(ctx, c)
	if err != nil {
		return intent.Intent{}, fmt.Errorf("cancel payment of %s: %w", c.Order, err)
	}
	last := intent.Intent{Order: c.Order}
	for _, i := range live {
		if last, err = p.settle(ctx, i); err != nil {
			return last, err
		}
	}
	return last, nil
}

// callOff decides, for all intents of the run, in one transaction.
func (p *Payments) callOff(ctx context.Context, c Cancellation) (all []intent.Intent, err error) {
	now := p.now()
	err = p.Store.Update(ctx, func(tx sqlstore.Tx) error {
		all = nil
		if err := p.bury(tx, stepPay, c.Order, c.Run, c.Reason, now); err != nil {
			return err
		}
		intents, err := p.ofOrder(tx, c.Order)
		if err != nil {
			return err
		}
		for _, i := range intents {
			if c.Run != "" && i.Run != c.Run {
				continue
			}
			if i, err = p.record(tx, i, i.Cancel(intent.Requested, now)); err != nil {
				return err
			}
			all = append(all, i)
		}
		return nil
	})
	return all, err
}
