package app

import (
	"context"
	"time"

	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/services/orders/aftersale"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

// course is how the runs of one saga go: which run an order has, and what is next by the order's state.
type course struct {
	definition saga.Definition
	runID      func(orderID string) string
	orderID    func(runID string) string
	next       func(o *order.Order) move
}

// move is what a run does next; without do the run is over.
type move struct {
	name  string // for people
	step  string // of the saga
	state saga.State
	fresh bool // it was not tried before, as far as the order knows: a run that was parked over something else goes on
	do    func(p *passage, ctx context.Context) (wait bool, err error)
	leave func(o *order.Order) ([]order.Event, error) // an operator's decision to leave it out; nil: it cannot be
}

func (m move) over() bool { return m.do == nil }

// Definitions are the sagas of orders.
func Definitions() []saga.Definition {
	return []saga.Definition{checkoutCourse.definition, aftersaleCourse.definition}
}

// courseOf is the course of a run.
func courseOf(run saga.Run) *course {
	if run.Saga == aftersale.Name {
		return aftersaleCourse
	}
	return checkoutCourse
}

func same(id string) string { return id }

var checkoutCourse = &course{
	definition: checkout.Definition(), runID: same, orderID: same,
	next: func(o *order.Order) move {
		action := checkout.Next(o)
		m := move{name: string(action), step: action.Step(), state: action.Direction()}
		switch action {
		case checkout.Hold:
			m.do = (*passage).hold
		case checkout.Credit:
			m.do = (*passage).holdCredit
		case checkout.Pay:
			m.do = (*passage).pay
		case checkout.Cancel:
			m.do, m.leave = (*passage).cancel, skipping(order.StepPay)
		case checkout.GiveBack:
			m.do, m.leave = (*passage).releaseCredit, skipping(order.StepCredit)
		case checkout.Release:
			m.do, m.leave = (*passage).release, skipping(order.StepHold)
		}
		return m
	},
}

var aftersaleCourse = &course{
	definition: aftersale.Definition(), runID: aftersale.RunID,
	orderID: func(runID string) string { orderID, _ := aftersale.OrderID(runID); return orderID },
	next: func(o *order.Order) move {
		action, about := aftersale.Next(o)
		m := move{name: string(action), step: action.Step(), state: saga.Running}
		switch action {
		case aftersale.Stop:
			m.do = (*passage).stop
		case aftersale.Void:
			m.do, m.leave = (*passage).cancel, skipping(order.StepPay)
		case aftersale.Credit:
			m.do, m.leave = (*passage).releaseCredit, skipping(order.StepCredit)
		case aftersale.Release:
			m.do, m.leave = (*passage).releaseLines, skipping(order.StepHold)
		case aftersale.Refund:
			m.do = func(p *passage, ctx context.Context) (bool, error) { return p.refund(ctx, about) }
			m.leave, m.fresh = dropping(about), o.Refund(about).State == order.MoneyPending
		case aftersale.Capture:
			m.do = func(p *passage, ctx context.Context) (bool, error) { return p.capture(ctx, about) }
			m.leave, m.fresh = dropping(about), o.Capture(about).State == order.MoneyPending
		}
		return m
	},
}

func skipping(step order.Step) func(*order.Order) ([]order.Event, error) {
	return func(o *order.Order) ([]order.Event, error) { return o.SkipUndo(step) }
}

func dropping(id string) func(*order.Order) ([]order.Event, error) {
	return func(o *order.Order) ([]order.Event, error) { return o.Drop(id) }
}

// place is where a run stands by its order; another step, or the way back, begins with its first attempt.
func (c *course) place(run saga.Run, o *order.Order, next, now time.Time) saga.Run {
	m := c.next(o)
	if m.over() {
		return run.End(now)
	}
	if run.Step != m.step || run.State != m.state {
		run = run.To(m.step, now)
	}
	run.State, run.NextAt, run.Resume, run.EndedAt = m.state, next, "", time.Time{}
	return run
}
