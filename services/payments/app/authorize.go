package app

import (
	"context"
	"errors"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// The codes of this room's refusals, beside those of its hearts.
const (
	CodeCanceled     = "payment_canceled"       // the payment was called off before this was asked for
	CodeAttempt      = "attempt_reused"         // the attempt was made for another amount, run or provider
	CodeUnsettled    = "payment_unsettled"      // an attempt of the order may still come to hold money
	CodeOpenCapture  = "capture_unsettled"      // another capture of the order has not come out yet
	CodeUnavailable  = "provider_unavailable"   // nothing was begun; ask again
	CodeProvider     = "unknown_provider"       // no such provider here
	CodeNotFound     = "payment_not_found"      // no such intent, or not yours to see
	CodeSignature    = "webhook_signature"      // the provider did not send this just now
	CodeWebhookShape = "webhook_not_understood" // signed, and still unreadable
)

// ReasonToken is the reason of a decline before anything was asked: the
// provider knows no such means of payment.
const ReasonToken = "token_refused"

// tokenMax bounds a payment token.
const tokenMax = 200

// Authorization asks for an order's money.
type Authorization struct {
	Order    string
	Run      string // the run of the order's checkout
	Attempt  int    // from 1
	Amount   money.Money
	Provider string // empty: the one that is configured
	Token    string // the shopper's means of payment
}

func (a *Authorization) check(have string) error {
	switch {
	case !id.Valid(a.Order):
		return problem.Field("order_id", "malformed", "must be an order's id")
	case a.Run != "" && !id.Valid(a.Run):
		return problem.Field("run_id", "malformed", "must be a run's id")
	case a.Attempt < 1:
		return problem.Field("attempt", "out_of_range", "must be 1 or more")
	case a.Amount.Minor <= 0:
		return problem.Field("amount", "out_of_range", "must be more than nothing")
	case len(a.Token) == 0 || len(a.Token) > tokenMax:
		return problem.Field("token", "out_of_range", "must be 1 to 200 characters")
	case a.Provider != "" && a.Provider != have:
		return problem.Field("provider", CodeProvider, "there is no such payment provider here")
	}
	return nil
}

// Authorize asks the provider for the money, once: the same order and attempt
// again gets the present state. Declined and unknown are answers, not errors;
// so is a means of payment that the provider does not know.
func (p *Payments) Authorize(ctx context.Context, a Authorization) (intent.Intent, error) {
	if err := a.check(p.Provider.Name()); err != nil {
		return intent.Intent{}, err
	}
	a.Provider = p.Provider.Name()
	return p.flights.do(ctx, intent.Key(a.Order, a.Attempt), func() (intent.Intent, error) {
		i, begun, err := p.begin(ctx, a)
		if err != nil {
			return intent.Intent{}, err
		}
		if begun {
			return p.confirm(ctx, i)
		}
		return p.settle(ctx, i)
	})
}

// begin finds the attempt, or makes it: the provider's payment first, keyed,
// so that its id is known before any money moves; begun says that it may be
// confirmed now.
func (p *Payments) begin(ctx context.Context, a Authorization) (i intent.Intent, begun bool, err error) {
	if i, err = p.present(ctx, a); err != nil || i.ID != "" {
		return i, false, err
	}
	payment, err := p.create(ctx, a)
	refused := errors.Is(err, provider.ErrTokenRefused)
	if err != nil && !refused {
		return intent.Intent{}, false, err
	}
	fresh := p.fresh(a, payment)
	var calledOff *problem.Error
	err = p.Store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) (err error) {
		i, calledOff, err = p.keep(tx, a, fresh, refused)
		return err
	})
	if err == nil && calledOff != nil {
		err = calledOff
	}
	return i, err == nil && i.ID == fresh.ID && !refused, err
}

// keep stores the attempt, unless somebody else did meanwhile or its run was
// called off.
func (p *Payments) keep(tx sqlstore.Tx, a Authorization, fresh intent.Intent, refused bool) (i intent.Intent, calledOff *problem.Error, err error) {
	i = fresh.Confirming(fresh.CreatedAt)
	stored, err := p.insertFirst(tx, i)
	if err == nil && !stored {
		var other intent.Intent
		calledOff, err = p.admit(tx, a, &other)
		switch {
		case err != nil || other.ID != "":
			return other, nil, err
		case calledOff != nil: // the reconciler cancels what was just made
			return intent.Intent{}, calledOff, p.insert(tx, fresh.Cancel(intent.Requested, fresh.CreatedAt).Intent)
		}
		err = p.insert(tx, i)
	}
	if err == nil && refused {
		i, err = p.record(tx, i, i.See(intent.Refused, 0, ReasonToken, i.CreatedAt))
	}
	return i, nil, err
}

// present is the attempt as it is, if it was made before, and an early refusal.
func (p *Payments) present(ctx context.Context, a Authorization) (i intent.Intent, err error) {
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		if known, err := p.heardOf(tx, a.Order); err != nil || !known {
			return err
		}
		refusal, err := p.admit(tx, a, &i)
		if err == nil && refusal != nil {
			err = refusal
		}
		return err
	})
	return i, err
}

// admit finds the attempt into i. It refuses one that differs from what was
// asked before or that could hold money twice; a run that was called off is a
// refusal of its own, because its provider payment has to be canceled.
func (p *Payments) admit(tx sqlstore.Tx, a Authorization, i *intent.Intent) (calledOff *problem.Error, err error) {
	all, err := p.ofOrder(tx, a.Order)
	if err != nil {
		return nil, err
	}
	for _, other := range all {
		switch {
		case other.Attempt == a.Attempt:
			*i = other
			return nil, a.same(other)
		case other.State != intent.Declined && other.State != intent.Failed && other.State != intent.Voided:
			err = problem.New(problem.Conflict, CodeUnsettled, "another attempt to pay this order is not settled").
				With("order_id", a.Order)
		}
	}
	if buried, lookup := p.buried(tx, stepPay, a.Order, a.Run); lookup != nil || buried {
		return canceled(a.Order), lookup
	}
	return nil, err
}

func canceled(order string) *problem.Error {
	return problem.New(problem.Conflict, CodeCanceled, "the payment of this order was called off").With("order_id", order)
}

func (a *Authorization) same(i intent.Intent) error {
	if i.Amount == a.Amount && i.Run == a.Run && i.Provider == a.Provider {
		return nil
	}
	return problem.New(problem.Unprocessable, CodeAttempt, "this attempt was made for another amount, run or provider").
		With("order_id", a.Order)
}

func (p *Payments) create(ctx context.Context, a Authorization) (provider.Payment, error) {
	ctx, cancel := p.calling(ctx, "create")
	defer cancel()
	payment, err := p.Provider.Create(ctx, provider.Draft{
		Key: intent.Key(a.Order, a.Attempt), Reference: a.Order, Amount: a.Amount, Token: a.Token,
	})
	switch {
	case err == nil, errors.Is(err, provider.ErrTokenRefused):
		return payment, err
	case errors.Is(err, provider.ErrKeyReused):
		return payment, problem.New(problem.Unprocessable, CodeAttempt, "this attempt was made with another means of payment").Because(err)
	}
	return payment, problem.New(problem.Unavailable, CodeUnavailable, "the payment provider cannot be reached; try again").
		After(time.Second).Because(err)
}

func (p *Payments) fresh(a Authorization, payment provider.Payment) intent.Intent {
	now := p.now()
	return intent.Intent{
		ID: p.IDs.New("pay"), Shop: p.Shop, Order: a.Order, Run: a.Run, Attempt: a.Attempt, Amount: a.Amount,
		Provider: a.Provider, ProviderID: payment.ID, MultiCapture: payment.MultiCapture,
		State: intent.Created, CreatedAt: now, UpdatedAt: now,
	}
}

// confirm asks for the money and stores what came of it.
func (p *Payments) confirm(ctx context.Context, i intent.Intent) (intent.Intent, error) {
	asking, cancel := p.calling(ctx, "confirm")
	payment, err := p.Provider.Confirm(asking, i.ProviderID, i.Key())
	cancel()
	if err != nil {
		p.Log.WarnContext(ctx, "confirm payment: no answer", "intent", i.ID, "err", err)
		return p.apply(ctx, i, func(i intent.Intent) intent.Change { return i.NoAnswer(p.now()) })
	}
	i, err = p.see(ctx, i, payment)
	if err == nil && i.Next() == intent.Void {
		return p.void(ctx, i)
	}
	return i, err
}
