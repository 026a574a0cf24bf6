package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/ledger"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// settle does what an unfinished intent asks for, one reading or voiding and
// what follows from it at once. An intent at rest is returned as it is.
func (p *Payments) settle(ctx context.Context, i intent.Intent) (intent.Intent, error) {
	switch i.Next() {
	case intent.Read:
		return p.read(ctx, i)
	case intent.Void:
		return p.void(ctx, i)
	}
	return i, nil
}

// read looks what became of a payment. A provider that never heard of it holds
// no money of it, which is as good as unconfirmed.
func (p *Payments) read(ctx context.Context, i intent.Intent) (intent.Intent, error) {
	asking, cancel := p.calling(ctx, "get")
	payment, err := p.Provider.Get(asking, i.ProviderID)
	cancel()
	if err != nil && !errors.Is(err, provider.ErrNotFound) {
		return p.unanswered(ctx, i, err)
	}
	if err == nil {
		if i, err = p.see(ctx, i, payment); err != nil {
			return i, err
		}
	}
	switch i.AfterReading(sightOf(payment.Status), p.now(), p.patience()) {
	case intent.Confirm:
		return p.confirm(ctx, i)
	case intent.Void:
		return p.void(ctx, i)
	case intent.Abandon:
		return p.abandon(ctx, i)
	}
	return i, nil
}

func (p *Payments) abandon(ctx context.Context, i intent.Intent) (intent.Intent, error) {
	p.Log.WarnContext(ctx, "abandon payment: outcome unknown for too long", "intent", i.ID)
	i, err := p.apply(ctx, i, func(i intent.Intent) intent.Change {
		return i.Cancel(intent.Abandoned, p.now())
	})
	if err != nil {
		return i, err
	}
	return p.settle(ctx, i)
}

// void takes the order's turn, so that nothing is voided under a running
// capture. A caller who will not wait for it leaves it to the reconciler.
func (p *Payments) void(ctx context.Context, i intent.Intent) (intent.Intent, error) {
	done, err := p.turns.take(ctx, i.Order)
	if err != nil {
		return p.unanswered(ctx, i, err)
	}
	defer done()
	return p.voidInTurn(ctx, i.ID)
}

// voidInTurn cancels at the provider, once every capture that was begun has come
// out. A refusal because the payment is pending means that it will be tried again.
func (p *Payments) voidInTurn(ctx context.Context, id string) (intent.Intent, error) {
	i, open, err := p.voidable(ctx, id)
	if err != nil || i.State != intent.Canceling {
		return i, err
	}
	if open {
		return i, nil
	}
	asking, cancel := p.calling(ctx, "cancel")
	payment, err := p.Provider.Cancel(asking, i.ProviderID)
	cancel()
	switch {
	case err == nil:
		return p.see(ctx, i, payment)
	case errors.Is(err, provider.ErrNotFound) && i.Seen < intent.Held:
		return p.see(ctx, i, provider.Payment{Status: provider.Canceled, Reason: "not_found"})
	}
	return p.unanswered(ctx, i, err)
}

// voidable is the intent once its open captures were asked about; open says that
// one of them may still take money.
func (p *Payments) voidable(ctx context.Context, id string) (i intent.Intent, open bool, err error) {
	var captures []operation.Operation
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		if i, err = p.byID(tx, id); err == nil {
			captures, err = p.openCaptures(tx, i.Order)
		}
		return err
	})
	if err != nil || len(captures) == 0 {
		return i, false, err
	}
	for _, o := range captures {
		if o, err = p.ask(ctx, o, i); err != nil || o.State.Open() {
			return i, true, err
		}
	}
	err = p.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		i, err = p.byID(tx, id)
		return err
	})
	return i, false, err
}

// unanswered leaves the intent as it is; its row stays due for the reconciler.
func (p *Payments) unanswered(ctx context.Context, i intent.Intent, why error) (intent.Intent, error) {
	if !errors.Is(why, provider.ErrPending) {
		p.Log.WarnContext(ctx, "settle payment: the provider gave no answer", "intent", i.ID, "err", why)
	}
	return i, nil
}

// see brings what the provider shows to the intent.
func (p *Payments) see(ctx context.Context, known intent.Intent, payment provider.Payment) (intent.Intent, error) {
	return p.apply(ctx, known, func(i intent.Intent) intent.Change {
		return i.See(sightOf(payment.Status), payment.Captured, payment.Reason, p.now())
	})
}

func sightOf(s provider.Status) intent.Sight {
	switch s {
	case provider.Pending:
		return intent.Pending
	case provider.Declined:
		return intent.Refused
	case provider.Authorized:
		return intent.Held
	case provider.Canceled, provider.Captured:
		return intent.Gone
	}
	return intent.Unconfirmed
}

// apply lets a fact or a decision change an intent and stores all that comes
// of it in one transaction: the row, the posting, the event. It is stored even
// when the caller has left, for facts cannot be refused.
func (p *Payments) apply(ctx context.Context, known intent.Intent, change func(intent.Intent) intent.Change) (i intent.Intent, err error) {
	err = p.Store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) error {
		i, err = p.amend(tx, known, change)
		return err
	})
	if err != nil {
		return i, fmt.Errorf("record payment %s: %w", known.ID, err)
	}
	return i, nil
}

// amend stores a change within a transaction. The intent is taken as it is
// known; it is read only if it has moved meanwhile.
func (p *Payments) amend(tx sqlstore.Tx, known intent.Intent, change func(intent.Intent) intent.Change) (intent.Intent, error) {
	if c := change(known); c.News {
		if i, err := p.record(tx, known, c); !errors.Is(err, errMoved) {
			return i, err
		}
	}
	before, err := p.byID(tx, known.ID)
	if err != nil {
		return known, err
	}
	return p.record(tx, before, change(before))
}

// record stores what became of an intent, within a transaction.
func (p *Payments) record(tx sqlstore.Tx, before intent.Intent, c intent.Change) (intent.Intent, error) {
	if !c.News {
		return c.Intent, nil
	}
	err := p.save(tx, before, c.Intent)
	if err != nil {
		return c.Intent, err
	}
	if c.Move != intent.NoMove {
		err = p.post(tx, posting(c))
	}
	if err == nil && c.Event != "" {
		err = p.tell(tx, c)
	}
	if state := c.Intent.State; state != before.State {
		tx.AfterCommit(func() { p.outcomes.WithLabelValues(string(state)).Inc() })
	}
	return c.Intent, err
}

func posting(c intent.Change) ledger.Posting {
	if c.Move == intent.Hold {
		return ledger.Held(c.Intent.ID, c.Intent.Amount)
	}
	return ledger.Released(c.Intent.ID, c.Intent.Rest())
}
