package app

import (
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/ledger"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// conclude stores how an operation came out and all that follows from it in one
// transaction: its row, the intent, the wallet, the postings, the event. One
// that was concluded before, by whomever, stays as it is.
func (p *Payments) conclude(tx sqlstore.Tx, o operation.Operation, i intent.Intent, came outcome) (operation.Operation, intent.Intent, error) {
	after, event := o.Settle(came.failure, p.now())
	fresh, err := p.saveOperation(tx, after)
	if err == nil && !fresh {
		after, err = p.operation(tx, o.ID)
		return after, i, err
	}
	if err == nil && i.ID != "" {
		i, err = p.amend(tx, i, func(i intent.Intent) intent.Change { return p.effect(after, i, came) })
	}
	if err == nil && after.State == operation.Done && after.Share().Provider > 0 {
		err = p.post(tx, postingOf(after))
	}
	if err == nil && after.CreditMinor > 0 {
		err = p.concludeCredit(tx, after)
	}
	if err == nil && event != "" {
		err = p.tellOperation(tx, after, event)
	}
	kind, state := string(after.Kind), string(after.State)
	tx.AfterCommit(func() { p.operations.WithLabelValues(kind, state).Inc() })
	return after, i, err
}

// effect is what an operation makes of its intent. A final capture that store
// credit was enough for calls the provider's money off.
func (p *Payments) effect(o operation.Operation, i intent.Intent, came outcome) intent.Change {
	taken, now := o.Share().Provider, p.now()
	switch {
	case o.State == operation.Failed:
		return i.See(sightOf(came.payment.Status), came.payment.Captured, came.payment.Reason, now)
	case o.Kind == operation.Refund && taken > 0:
		return i.Refund(taken, now)
	case o.Kind == operation.Capture && taken > 0:
		closed := came.payment.Status == provider.Captured
		return i.Capture(taken, closed, came.payment.Reason, now)
	case o.Kind == operation.Capture && o.Final:
		return i.Cancel(intent.Requested, now)
	}
	return intent.Change{Intent: i}
}

func postingOf(o operation.Operation) ledger.Posting {
	amount := money.Of(o.Share().Provider, o.Amount.Currency)
	if o.Kind == operation.Capture {
		return ledger.Captured(o.ID, amount)
	}
	return ledger.Refunded(o.ID, amount)
}

// concludeCredit moves the operation's share of store credit.
func (p *Payments) concludeCredit(tx sqlstore.Tx, o operation.Operation) error {
	c, err := p.creditOf(tx, o.Order)
	if err != nil {
		return err
	}
	c.UpdatedAt = o.UpdatedAt
	move := wallet.Event{Kind: wallet.Captured, AmountMinor: o.CreditMinor, Order: o.Order}
	switch {
	case o.State == operation.Failed && (o.Kind == operation.Refund || !c.Closed):
		return nil
	case o.State == operation.Failed:
		return p.letGo(tx, c, 0)
	case o.Kind == operation.Refund:
		move.Kind = wallet.Refunded
		c.RefundedMinor += o.CreditMinor
	default:
		c.CapturedMinor += o.CreditMinor
	}
	if err := p.enter(tx, c.Subject, c.Amount.Currency, move, ""); err != nil {
		return err
	}
	if o.Final { // nothing more will be taken of it
		return p.letGo(tx, c, 0)
	}
	return p.saveCredit(tx, c)
}
