package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// auditProvider compares the provider's books with ours. One that can list them
// is read page by page; an intent that no page named, and all intents of one
// that cannot, are asked about one by one.
func (p *Payments) auditProvider(ctx context.Context, a *Audit) error {
	lister, can := p.Provider.(provider.Lister)
	if !can {
		return p.auditIntents(ctx, a)
	}
	var known, met int
	err := p.Store.View(ctx, func(tx sqlstore.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM intents WHERE provider = ? AND provider_id <> ''`, p.Provider.Name()).Scan(&known)
	})
	if err != nil {
		return err
	}
	for cursor := ""; ; {
		page, next, err := lister.List(ctx, cursor, pageMax)
		if err != nil {
			return err
		}
		n, err := p.auditPayments(ctx, page, a)
		if err != nil {
			return err
		}
		met += n
		if cursor = next; next == "" {
			break
		}
	}
	if met < known {
		return p.auditIntents(ctx, a)
	}
	return nil
}

// auditPayments compares a page of the provider's payments with their intents
// and tells how many have one.
func (p *Payments) auditPayments(ctx context.Context, page []provider.Payment, a *Audit) (met int, err error) {
	var doubtful []intent.Intent
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		met, doubtful = 0, nil
		for from := 0; from < len(page); from += batchMax {
			some := page[from:min(from+batchMax, len(page))]
			ours, err := p.byProviderIDs(tx, some)
			if err != nil {
				return err
			}
			met += len(ours)
			for _, payment := range some {
				i, found := ours[payment.ID]
				if found && i.State.Final() && !agrees(i, payment) {
					doubtful = append(doubtful, i)
				}
				if !found && charged(payment) {
					if err := p.auditStranger(tx, payment, a); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	a.Checked += len(page)
	for _, i := range doubtful {
		if err == nil {
			err = p.auditIntent(ctx, i, a)
		}
	}
	return met, err
}

func (p *Payments) byProviderIDs(tx sqlstore.Tx, page []provider.Payment) (map[string]intent.Intent, error) {
	args := make([]any, 0, batchMax+1)
	args = append(args, p.Provider.Name())
	for _, payment := range page {
		args = append(args, payment.ID)
	}
	found, err := scanIntents(tx.Query(`SELECT `+intentColumns+` FROM intents WHERE provider = ? AND provider_id IN (`+
		strings.Repeat("?, ", len(page)-1)+`?) AND provider_id <> ''`, args...))
	ours := make(map[string]intent.Intent, len(found))
	for _, i := range found {
		ours[i.ProviderID] = i
	}
	return ours, err
}

// auditStranger names a payment that has a customer's money and no intent.
// Intents are stored before money moves, so none is too young to be known.
func (p *Payments) auditStranger(tx sqlstore.Tx, payment provider.Payment, a *Audit) error {
	a.add(RuleProviderKnown, payment.ID, "holds "+payment.Amount.String()+" of "+payment.Reference, "an intent")
	ours, err := p.ofOrder(tx, payment.Reference)
	for _, i := range ours {
		if i.State == intent.Authorized || i.State == intent.Captured {
			a.add(RuleOrderChargedOnce, payment.Reference, "held by "+i.ProviderID+" and "+payment.ID, "held once")
		}
	}
	return err
}

// charged says that a payment has a customer's money.
func charged(payment provider.Payment) bool {
	return payment.Status == provider.Authorized || payment.Captured > payment.Refunded
}

// auditIntents asks the provider about every intent.
func (p *Payments) auditIntents(ctx context.Context, a *Audit) error {
	for after := ""; ; {
		page, next, err := p.List(ctx, Selection{After: after, Limit: pageMax})
		if err != nil {
			return err
		}
		for _, i := range page {
			if err := p.auditIntent(ctx, i, a); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// auditIntent asks the provider about an intent, unless something of it is under
// way or it changes while we look.
func (p *Payments) auditIntent(ctx context.Context, known intent.Intent, a *Audit) error {
	before, moving, err := p.atRest(ctx, known.ID)
	if err != nil || moving {
		return err
	}
	payment, err := p.Provider.Get(ctx, before.ProviderID)
	if err != nil && !errors.Is(err, provider.ErrNotFound) {
		return err
	}
	if agrees(before, payment) {
		return nil
	}
	if now, moving, err := p.atRest(ctx, known.ID); err != nil || moving || now != before {
		return err
	}
	a.add(RuleMatchesProvider, known.ID,
		fmt.Sprintf("the provider says %q of %s, %d captured, %d refunded", payment.Status, payment.Amount, payment.Captured, payment.Refunded),
		fmt.Sprintf("%s of %s, %d captured, %d refunded", before.State, before.Amount, before.CapturedMinor, before.RefundedMinor))
	return nil
}

// atRest reads an intent and says whether something of it is under way.
func (p *Payments) atRest(ctx context.Context, id string) (i intent.Intent, moving bool, err error) {
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		if i, err = p.byID(tx, id); err != nil {
			return err
		}
		all, err := p.operationsOf(tx, i.Order)
		moving = !i.State.Final()
		for n := range all {
			moving = moving || all[n].State.Open()
		}
		return err
	})
	return i, moving, err
}

// agrees compares a final intent with the provider's payment. One that the
// provider never heard of has nothing; one whose authorization lapsed is as
// authorized, until the shop hears of it.
func agrees(i intent.Intent, payment provider.Payment) bool {
	if payment.Captured != i.CapturedMinor || payment.Refunded != i.RefundedMinor {
		return false
	}
	has := payment.Amount == i.Amount && payment.Reference == i.Order
	switch i.State {
	case intent.Authorized:
		lapsed := payment.Reason == provider.ReasonExpired && payment.Status > provider.Authorized
		return has && (payment.Status == provider.Authorized || lapsed)
	case intent.Captured:
		return has && payment.Status == provider.Captured
	}
	return payment.Status != provider.Authorized && payment.Status != provider.Captured
}
