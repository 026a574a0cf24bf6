package app

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// The codes of refusals about store credit.
const (
	CodeCreditReleased = "credit_released"  // the credit was called off before it was asked for
	CodeCreditReused   = "credit_reused"    // the run set another amount or wallet aside
	CodeCreditLive     = "credit_unsettled" // another run's credit is set aside for the order
)

// CreditHold sets store credit aside.
type CreditHold struct {
	Order   string
	Run     string // the run of the order's checkout
	Subject string // whose wallet
	Amount  money.Money
}

func (h *CreditHold) check() error {
	switch {
	case !id.Valid(h.Order):
		return problem.Field("order_id", "malformed", "must be an order's id")
	case h.Run != "" && !id.Valid(h.Run):
		return problem.Field("run_id", "malformed", "must be a run's id")
	case !id.Valid(h.Subject):
		return problem.Field("subject_id", "malformed", "must be a subject's id")
	case h.Amount.Minor <= 0:
		return problem.Field("amount", "out_of_range", "must be more than nothing")
	}
	return nil
}

// HoldCredit sets store credit of a wallet aside for an order, once: the same
// order and run again gets the present state.
func (p *Payments) HoldCredit(ctx context.Context, h CreditHold) (c wallet.Credit, err error) {
	if err := h.check(); err != nil {
		return c, err
	}
	err = p.Store.Update(ctx, func(tx sqlstore.Tx) error {
		c, err = p.holdCredit(tx, h)
		return err
	})
	return c, err
}

func (p *Payments) holdCredit(tx sqlstore.Tx, h CreditHold) (wallet.Credit, error) {
	all, err := p.credits(tx, h.Order)
	if err != nil {
		return wallet.Credit{}, err
	}
	for _, other := range all {
		switch {
		case other.Run == h.Run:
			return other, h.same(other)
		case other.State() != wallet.CreditReleased:
			err = problem.New(problem.Conflict, CodeCreditLive, "store credit is set aside for this order already").With("order_id", h.Order)
		}
	}
	if off, lookup := p.buried(tx, stepCredit, h.Order, h.Run); lookup != nil || off {
		return wallet.Credit{}, refusedAs(lookup, CodeCreditReleased, "the store credit of this order was called off", h.Order)
	}
	if err != nil {
		return wallet.Credit{}, err
	}
	now := p.now()
	c := wallet.Credit{Order: h.Order, Run: h.Run, Subject: h.Subject, Amount: h.Amount, CreatedAt: now, UpdatedAt: now}
	if err := p.enter(tx, h.Subject, h.Amount.Currency, wallet.Event{Kind: wallet.Held, AmountMinor: h.Amount.Minor, Order: h.Order}, ""); err != nil {
		return wallet.Credit{}, err
	}
	return c, p.saveCredit(tx, c)
}

// refusedAs is the lookup's error, or the refusal when it found what refuses.
func refusedAs(lookup error, code, message, order string) error {
	if lookup != nil {
		return lookup
	}
	return problem.New(problem.Conflict, code, message).With("order_id", order)
}

func (h *CreditHold) same(c wallet.Credit) error {
	if c.Subject == h.Subject && c.Amount == h.Amount {
		return nil
	}
	return problem.New(problem.Unprocessable, CodeCreditReused, "this run set another amount or wallet's credit aside").With("order_id", h.Order)
}

// ReleaseCredit lets go of what a run set aside and no capture has taken or is
// taking; run empty means whatever run. One that finds nothing buries it: what
// that run still tries to hold is refused.
func (p *Payments) ReleaseCredit(ctx context.Context, order, run string) (c wallet.Credit, err error) {
	if !id.Valid(order) || run != "" && !id.Valid(run) {
		return c, problem.Field("order_id", "malformed", "must be an order's id, and run_id a run's")
	}
	err = p.Store.Update(context.WithoutCancel(ctx), func(tx sqlstore.Tx) error {
		c, err = p.releaseCredit(tx, order, run)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("release store credit of %s: %w", order, err)
	}
	return c, nil
}

func (p *Payments) releaseCredit(tx sqlstore.Tx, order, run string) (c wallet.Credit, err error) {
	now := p.now()
	if err := p.bury(tx, stepCredit, order, run, "", now); err != nil {
		return c, err
	}
	all, err := p.credits(tx, order)
	if err != nil || len(all) == 0 {
		return c, err
	}
	open, err := p.openCaptures(tx, order)
	if err != nil {
		return c, err
	}
	for _, c = range all {
		if run != "" && c.Run != run || c.State() == wallet.CreditReleased {
			continue
		}
		if err := p.letGoAt(tx, c, taking(open), now); err != nil {
			return c, err
		}
	}
	return p.creditOfRun(tx, order, run)
}

// taking is the store credit that open captures may still take.
func taking(open []operation.Operation) (minor int64) {
	for i := range open {
		minor += open[i].CreditMinor
	}
	return minor
}

// letGo closes a credit and gives what is left of it back to the wallet, but for
// what a capture is taking.
func (p *Payments) letGo(tx sqlstore.Tx, c wallet.Credit, taking int64) error {
	return p.letGoAt(tx, c, taking, p.now())
}

func (p *Payments) letGoAt(tx sqlstore.Tx, c wallet.Credit, taking int64, now time.Time) error {
	after, minor := c.Release(taking, now)
	if minor > 0 {
		back := wallet.Event{Kind: wallet.Released, AmountMinor: minor, Order: c.Order}
		if err := p.enter(tx, c.Subject, c.Amount.Currency, back, ""); err != nil {
			return err
		}
	}
	return p.saveCredit(tx, after)
}

const creditColumns = `order_id, run_id, subject_id, amount_minor, currency, captured_minor, released_minor, refunded_minor,
	closed, created_at, updated_at`

// credits is what runs set aside for an order, oldest first.
func (p *Payments) credits(tx sqlstore.Tx, order string) (all []wallet.Credit, err error) {
	rows, err := tx.Query(`SELECT `+creditColumns+` FROM credits WHERE shop = ? AND order_id = ? ORDER BY created_at, run_id LIMIT ?`,
		p.Shop, order, attemptsMax)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c wallet.Credit
		if err := rows.Scan(&c.Order, &c.Run, &c.Subject, &c.Amount.Minor, &c.Amount.Currency, &c.CapturedMinor, &c.ReleasedMinor,
			&c.RefundedMinor, &c.Closed, &c.CreatedAt, &c.UpdatedAt); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// creditOf is the credit of an order that was not let go of wholly, of which
// there is one at most; else the last one, or none.
func (p *Payments) creditOf(tx sqlstore.Tx, order string) (c wallet.Credit, err error) {
	all, err := p.credits(tx, order)
	for _, one := range all {
		if c = one; c.State() != wallet.CreditReleased {
			break
		}
	}
	return c, err
}

// creditOfRun is that of one run, or of whatever run when it is empty.
func (p *Payments) creditOfRun(tx sqlstore.Tx, order, run string) (wallet.Credit, error) {
	if run == "" {
		return p.creditOf(tx, order)
	}
	all, err := p.credits(tx, order)
	for _, c := range all {
		if c.Run == run {
			return c, err
		}
	}
	return wallet.Credit{}, err
}

func (p *Payments) saveCredit(tx sqlstore.Tx, c wallet.Credit) error {
	_, err := tx.Exec(`INSERT INTO credits (shop, `+creditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (shop, order_id, run_id) DO UPDATE SET captured_minor = excluded.captured_minor,
		released_minor = excluded.released_minor, refunded_minor = excluded.refunded_minor, closed = excluded.closed,
		updated_at = excluded.updated_at`,
		p.Shop, c.Order, c.Run, c.Subject, c.Amount.Minor, c.Amount.Currency, c.CapturedMinor, c.ReleasedMinor, c.RefundedMinor,
		flag(c.Closed), c.CreatedAt.UnixMicro(), c.UpdatedAt.UnixMicro())
	return err
}
