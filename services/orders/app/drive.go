package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/aftersale"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

// actor is who the run's own events name.
const actor = "service:orders"

// passage is one run on its way: what was heard since the last commit is kept in
// hand and becomes durable with the decision that it leads to. A crash before that
// costs nothing: each step answers the same when it is asked again.
type passage struct {
	app    *App
	course *course
	run    saga.Run
	placed eventlog.Meta  // of the order's first event
	meta   eventlog.Meta  // of what the run appends
	token  string         // of the means of payment, while the order is undecided
	order  order.Order    // as it stands, with what is in hand
	base   order.Order    // as it stands in the log
	facts  []order.Event  // in hand
	left   *[]order.Piece // in hand: shipping's answer to a cancellation, what had left before
}

// Advance takes a run as far as it can go now. The saga driver sees to it that only
// one driver does so at a time, and calls again at the run's NextAt or after an error.
func (a *App) Advance(ctx context.Context, run saga.Run) (saga.Run, error) {
	p := passage{app: a, course: courseOf(run), run: run}
	if err := p.load(ctx); err != nil {
		return run, err
	}
	ctx = p.placed.Within(ctx) // when nobody waits for the run: it came from a poll, or from a process that lives no more
	for p.run.State.Active() {
		next := p.course.next(&p.order)
		if next.over() {
			err := p.flush(ctx, a.Clock.Now())
			return p.run, err
		}
		p.run = p.course.place(p.run, &p.order, p.run.NextAt, a.Clock.Now())
		wait, err := next.do(&p, ctx)
		switch {
		case err != nil:
			err = p.failed(ctx, next.name, err)
			return p.run, err
		case wait:
			err = p.flush(ctx, p.pollAt())
			return p.run, err
		case p.decided():
			if err := p.flush(ctx, a.Clock.Now()); err != nil {
				return p.run, err
			}
		}
	}
	return p.run, nil
}

// decided tells that a decision is in hand, which must be durable before anything is done for it.
func (p *passage) decided() bool {
	o, base := &p.order, &p.base
	return o.Status != base.Status || len(o.Captures) > len(base.Captures) || len(o.Refunds) > len(base.Refunds) || len(o.Undo) > len(base.Undo)
}

// load reads the order, unless it was placed by this process a moment ago. An order that
// has moved on since then costs nothing but a second look, when the facts are flushed.
// Where another process may have moved it, memory could say that nothing is left to do.
func (p *passage) load(ctx context.Context) error {
	orderID := p.course.orderID(p.run.ID)
	if h, ok := p.app.hot.take(p.run.ID); ok {
		p.begin(known{h.order, h.meta}, h.token)
		return nil
	}
	if k, ok := p.app.recent.get(orderID); ok && k.order.Decided() && !p.app.Store.Shared() {
		p.begin(k, "")
		return nil
	}
	return p.app.Store.View(ctx, func(tx sqlstore.Tx) error {
		o, placed, err := p.app.read(tx, orderID)
		if err != nil {
			return err
		}
		if o.Status == order.Absent {
			return fmt.Errorf("advance run %s: its order was never placed", p.run.ID)
		}
		token := ""
		if !o.Decided() {
			err = tx.QueryRow(`SELECT token FROM payment_tokens WHERE order_id = ?`, o.ID).Scan(&token)
		}
		p.begin(known{o, placed}, token)
		return err
	})
}

// begin takes the order as it is known.
func (p *passage) begin(k known, token string) {
	p.base, p.order, p.placed, p.token = k.order, k.order, k.placed, token
	p.meta = k.placed
	p.meta.Actor, p.meta.Causation = actor, p.run.Saga+"/"+p.run.ID
}

// The steps; wait says that the outcome is not known yet.

func (p *passage) hold(ctx context.Context) (wait bool, err error) {
	if expired := p.order.Expire(p.app.Clock.Now()); expired != nil {
		return false, p.hear(nil)
	}
	short, err := p.app.Stock.Hold(ctx, Hold{
		OrderID: p.order.ID, RunID: p.run.ID, Attempt: p.run.Attempt, Lines: p.order.Lines, Deadline: p.order.Deadline,
	})
	switch {
	case err != nil:
		return false, err
	case len(short) > 0:
		return false, p.hear(order.StockRefused{Lines: short})
	}
	return false, p.hear(order.StockHeld{Attempt: p.run.Attempt})
}

func (p *passage) holdCredit(ctx context.Context) (wait bool, err error) {
	if expired := p.order.Expire(p.app.Clock.Now()); expired != nil {
		return false, p.hear(nil)
	}
	fact, err := p.app.Payments.HoldCredit(ctx, Credit{
		OrderID: p.order.ID, RunID: p.order.ID, SubjectID: p.order.SubjectID, Amount: p.order.Credit, Currency: p.order.Currency,
	})
	if err != nil {
		return false, err
	}
	return false, p.hear(fact)
}

// pay asks for the money; while payments does not know, the run waits, and at the
// order's deadline the order is rejected.
func (p *passage) pay(ctx context.Context) (wait bool, err error) {
	if expired := p.order.Expire(p.app.Clock.Now()); expired != nil {
		return false, p.hear(nil)
	}
	fact, err := p.app.Payments.Authorize(ctx, Authorization{
		OrderID: p.order.ID, RunID: p.order.ID, Attempt: payAttempt, Amount: p.order.ToPay(),
		Currency: p.order.Currency, Provider: p.order.Provider, Token: p.token,
	})
	if err != nil {
		return false, err
	}
	_, unknown := fact.(order.Unknown)
	return unknown, p.hear(fact)
}

// payAttempt is the only attempt of an order: a decline rejects it, and paying again is a new order.
const payAttempt = 1

func (p *passage) cancel(ctx context.Context) (wait bool, err error) {
	outcome, done, err := p.app.Payments.Cancel(ctx, p.order.ID, p.order.ID, cmp.Or(p.order.Rejection.Code, p.order.Cancellation.Code))
	if err != nil {
		return false, err
	}
	if !done {
		return false, problem.Newf(problem.Unavailable, "cancel_pending", "the provider has not accepted the cancellation of order %s yet", p.order.ID)
	}
	return false, p.hear(order.Undone{Step: order.StepPay, Outcome: outcome})
}

func (p *passage) releaseCredit(ctx context.Context) (wait bool, err error) {
	outcome, err := p.app.Payments.ReleaseCredit(ctx, p.order.ID, p.order.ID)
	if err != nil {
		return false, err
	}
	return false, p.hear(order.Undone{Step: order.StepCredit, Outcome: outcome})
}

func (p *passage) release(ctx context.Context) (wait bool, err error) {
	outcome, err := p.app.Stock.Release(ctx, p.order.ID, p.order.ID)
	if err != nil {
		return false, err
	}
	return false, p.hear(order.Undone{Step: order.StepHold, Outcome: outcome})
}

// releaseLines gives back the pieces that a cancellation has kept from leaving. An order is canceled once, so one
// release is all there is.
func (p *passage) releaseLines(ctx context.Context) (wait bool, err error) {
	outcome, err := p.app.Stock.ReleaseLines(ctx, p.order.ID, "cancel", p.order.CanceledItems())
	if err != nil {
		return false, err
	}
	return false, p.hear(order.Undone{Step: order.StepHold, Outcome: outcome})
}

// stop asks shipping what of a cancellation can still be stopped; the order decides by the answer.
func (p *passage) stop(ctx context.Context) (wait bool, err error) {
	left, err := p.app.Shipping.Stop(ctx, p.order.ID, p.order.Cancellation.Code)
	if err != nil {
		return false, err
	}
	p.left = &left
	return false, p.hear(nil)
}

func (p *passage) capture(ctx context.Context, captureID string) (wait bool, err error) {
	fact, err := p.app.Payments.Capture(ctx, p.order.ID, p.order.Currency, p.order.Capture(captureID))
	if err != nil || fact == nil {
		return err == nil, err
	}
	if failed, is := fact.(order.CaptureFailed); is {
		return false, errors.Join(p.hear(fact), problem.Newf(problem.Unavailable, "capture_failed", "capture %s: %s", captureID, failed.Code))
	}
	p.run.Attempt = 1 // the next one begins with its first
	return false, p.hear(fact)
}

func (p *passage) refund(ctx context.Context, refundID string) (wait bool, err error) {
	fact, err := p.app.Payments.Refund(ctx, p.order.ID, p.order.Currency, p.order.Refund(refundID))
	if err != nil || fact == nil {
		return err == nil, err
	}
	if failed, is := fact.(order.RefundFailed); is {
		return false, errors.Join(p.hear(fact), problem.Newf(problem.Unavailable, "refund_failed", "refund %s: %s", refundID, failed.Code))
	}
	p.run.Attempt = 1
	return false, p.hear(fact)
}

// hear takes a fact in hand; nil only looks at the clock.
func (p *passage) hear(fact order.Event) error {
	if fact != nil {
		p.facts = append(p.facts, fact)
	}
	p.order = p.base
	events, err := p.decision(&p.order)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := p.order.Evolve(e); err != nil {
			return err
		}
	}
	return nil
}

// decision hears all facts in hand, on the order as the log has it, then looks at the clock.
// When the log has moved on meanwhile, what was undone may have been done again since:
// such a fact is dropped, and the room is asked once more.
func (p *passage) decision(o *order.Order) (all []order.Event, err error) {
	now := p.app.Clock.Now()
	next := *o
	for _, fact := range p.facts {
		if _, undone := fact.(order.Undone); undone && o.Version != p.base.Version {
			continue
		}
		events, err := next.Hear(fact, now)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if err := next.Evolve(e); err != nil {
				return nil, err
			}
		}
		all = append(all, events...)
	}
	if p.left != nil {
		all = append(all, next.Stopped(*p.left, now)...)
	}
	return append(all, next.Expire(now)...), nil
}

// flush makes what is in hand durable, with the run's new place, in one transaction. Where the order has moved on
// meanwhile, what the run would wait for may have come: it goes on at once.
func (p *passage) flush(ctx context.Context, next time.Time) error {
	return p.app.Store.Update(ctx, func(tx sqlstore.Tx) error {
		at := next
		o, err := p.app.decideSince(tx, known{p.base, p.placed}, p.meta, func(o *order.Order) ([]order.Event, error) {
			if o.Version != p.base.Version {
				at = p.app.Clock.Now()
			}
			return p.decision(o)
		})
		if err != nil {
			return err
		}
		run := p.course.place(p.run, &o, at, p.app.Clock.Now())
		if err := saga.Save(tx, run); err != nil {
			return err
		}
		tx.AfterCommit(func() { p.run, p.base, p.order, p.facts, p.left = run, o, o, nil, nil })
		return nil
	})
}

// failed keeps what is in hand, also when the step has used up its time, and leaves it
// to the driver to back off or to park the run. An order that is not decided yet is never
// parked: a room that is away for long costs it time, until its deadline decides it.
func (p *passage) failed(ctx context.Context, move string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if p.order.Status == order.Pending && p.run.Attempt >= checkout.StepAttempts {
		p.app.Logger.WarnContext(ctx, "step failed; the order waits for its deadline", "run", p.run.ID, "step", p.run.Step, "error", cause)
		p.run.LastError = cause.Error()
		return p.flush(ctx, p.beforeDeadline(checkout.BackoffMax))
	}
	cause = fmt.Errorf("run %s: %s: %w", p.run.ID, move, cause)
	if len(p.facts) == 0 && p.left == nil {
		return cause
	}
	return errors.Join(cause, p.flush(ctx, p.app.Clock.Now()))
}

// flushTimeout bounds the keeping of what is in hand when the step's own time is over.
const flushTimeout = 5 * time.Second

// pollAt is when to look again at money whose outcome is unknown: soon at first, then less often.
func (p *passage) pollAt() time.Time {
	now := p.app.Clock.Now()
	if p.order.Decided() {
		return now.Add(aftersale.PollEvery)
	}
	return p.beforeDeadline(checkout.PollAfter(now.Sub(p.order.PlacedAt)))
}

// beforeDeadline is after a wait, or at the order's deadline if that comes first.
func (p *passage) beforeDeadline(wait time.Duration) time.Time {
	at := p.app.Clock.Now().Add(wait)
	if at.After(p.order.Deadline) {
		return p.order.Deadline
	}
	return at
}
