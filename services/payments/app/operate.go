package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// Demand asks for a capture or a refund.
type Demand struct {
	Kind   operation.Kind
	ID     string // the key, for ever
	Order  string
	Amount money.Money
	Final  bool   // of a capture: nothing more will be taken, what is left is let go
	Reason string // for the log
}

func (d *Demand) check() error {
	switch {
	case !id.Valid(d.Order):
		return problem.Field("order_id", "malformed", "must be an order's id")
	case !id.Valid(d.ID):
		return problem.Field(string(d.Kind)+"_id", "malformed", "must be an id")
	case d.Amount.Minor <= 0:
		return problem.Field("amount", "out_of_range", "must be more than nothing")
	}
	d.Reason = strings.ToValidUTF8(d.Reason[:min(len(d.Reason), reasonMax)], "")
	return nil
}

// Operate takes money of an order or gives it back, once an id: heard again it
// is answered once it is done, asked about while it is unknown, and tried anew
// while it has failed. Failed and unknown are answers, not errors.
func (p *Payments) Operate(ctx context.Context, d Demand) (operation.Operation, error) {
	if err := d.check(); err != nil {
		return operation.Operation{}, err
	}
	done, err := p.turns.take(ctx, d.Order)
	if err != nil {
		return operation.Operation{}, fmt.Errorf("%s %s of %s: wait for the order's turn: %w", d.Kind, d.ID, d.Order, err)
	}
	defer done()
	o, i, err := p.beginOperation(ctx, d)
	if errors.Is(err, errUnfinished) {
		if err = p.finishCaptures(ctx, d.Order); err == nil {
			o, i, err = p.beginOperation(ctx, d)
		}
	}
	if errors.Is(err, errUnfinished) {
		err = problem.New(problem.Unavailable, CodeOpenCapture, "another capture of this order has not come out yet; try again").
			With("order_id", d.Order).After(time.Second)
	}
	if err == nil && o.State.Open() {
		return p.ask(ctx, o, i)
	}
	if err == nil && i.Next() == intent.Void {
		_, err = p.voidInTurn(ctx, i.ID) // the rest of what store credit was enough for
	}
	return o, err
}

// errUnfinished tells that a capture of the order is open, which has to come out
// before another can begin.
var errUnfinished = errors.New("a capture of the order is open")

// beginOperation stores what is to be asked of the provider, or what could be decided
// without it.
func (p *Payments) beginOperation(ctx context.Context, d Demand) (o operation.Operation, i intent.Intent, err error) {
	err = p.Store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) error {
		o, i, err = p.decide(tx, d)
		return err
	})
	return o, i, err
}

// decide lets an operation begin, by the money that the order has now.
func (p *Payments) decide(tx sqlstore.Tx, d Demand) (o operation.Operation, i intent.Intent, err error) {
	now := p.now()
	o = operation.Operation{
		ID: d.ID, Shop: p.Shop, Kind: d.Kind, Order: d.Order, Amount: d.Amount, Final: d.Final, Reason: d.Reason, CreatedAt: now,
	}
	m, err := p.matter(tx, d.Order)
	if err != nil {
		return o, i, err
	}
	if known, found := m.operation(d.ID); found {
		if err := known.Same(d.Kind, d.Order, d.Amount, d.Final); err != nil || known.State != operation.Failed {
			return known, m.intent, err
		}
		o = known
	}
	share, err := m.share(d)
	if err != nil {
		return o, i, err
	}
	o = o.Begin(share, m.intent.ID, now)
	if err := p.beginRow(tx, o); err != nil {
		return o, i, err
	}
	switch {
	case share.Provider == 0:
		return p.conclude(tx, o, m.intent, outcome{})
	case m.lapsed() && d.Kind == operation.Capture:
		return p.conclude(tx, o, m.intent, outcome{failure: operation.CodeExpired})
	}
	return o, m.intent, nil
}

// finishCaptures asks about the order's open captures.
func (p *Payments) finishCaptures(ctx context.Context, order string) error {
	var m matter
	err := p.Store.View(ctx, func(tx sqlstore.Tx) (err error) {
		m, err = p.matter(tx, order)
		return err
	})
	for _, o := range m.operations {
		if err == nil && o.Kind == operation.Capture && o.State.Open() {
			_, err = p.ask(ctx, o, m.intent)
		}
	}
	return err
}

// ask has the provider do an operation, under its key, and stores what came of
// it. The order's turn is taken.
func (p *Payments) ask(ctx context.Context, o operation.Operation, i intent.Intent) (operation.Operation, error) {
	asking, cancel := p.calling(ctx, string(o.Kind))
	came, err := p.callProvider(asking, o, i)
	cancel()
	if err != nil {
		p.Log.WarnContext(ctx, "payment operation: no answer", "kind", o.Kind, "id", o.ID, "err", err)
		return p.unknown(ctx, o)
	}
	err = p.Store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) (err error) {
		o, i, err = p.conclude(tx, o, i, came)
		return err
	})
	if err != nil {
		return o, fmt.Errorf("record %s %s of %s: %w", o.Kind, o.ID, o.Order, err)
	}
	return o, nil
}

// outcome is how an operation came out; payment is the provider's, if it was asked.
type outcome struct {
	failure string
	payment provider.Payment
}

// callProvider asks; an error means that the outcome is not known.
func (p *Payments) callProvider(ctx context.Context, o operation.Operation, i intent.Intent) (outcome, error) {
	amount := money.Of(o.Share().Provider, o.Amount.Currency)
	var came provider.Operation
	var err error
	if o.Kind == operation.Capture {
		came, err = p.Provider.Capture(ctx, i.ProviderID, o.ID, amount, o.Final)
	} else {
		came, err = p.Provider.Refund(ctx, i.ProviderID, o.ID, amount)
	}
	switch {
	case errors.Is(err, provider.ErrNotFound):
		return outcome{failure: "not_found"}, nil
	case errors.Is(err, provider.ErrKeyReused):
		return outcome{failure: "key_reused"}, nil
	case err != nil || came.Done:
		return outcome{payment: came.Payment}, err
	case came.Reason == "":
		came.Reason = string(o.Kind) + "_refused"
	}
	return outcome{came.Reason, came.Payment}, nil
}

// unknown stores that there was no answer; the reconciler asks again.
func (p *Payments) unknown(ctx context.Context, o operation.Operation) (operation.Operation, error) {
	err := p.Store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) error {
		_, err := p.saveOperation(tx, o.NoAnswer(p.now()))
		return err
	})
	if err != nil {
		return o, fmt.Errorf("record %s %s of %s: %w", o.Kind, o.ID, o.Order, err)
	}
	return o.NoAnswer(p.now()), nil
}
