package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/ledger"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// findingsMax bounds an audit's answer.
const findingsMax = 1000

// guaranteeMoney is the number of the guarantee that this room's rules are
// part of: the books of money hold.
const guaranteeMoney = 3

// The rules of this room's books.
const (
	RulePostingBalances   = "posting_balances"            // the lines of a posting add up to nothing
	RuleHoldInLedger      = "hold_is_in_ledger"           // an intent holds money exactly if the ledger says so
	RuleStateHolds        = "authorized_intent_holds"     // an intent is authorized only with its money held
	RuleOneLiveIntent     = "one_live_intent_per_order"   // at most one attempt of an order can hold money
	RuleMatchesProvider   = "intent_matches_provider"     // what an intent says, the provider's books say
	RuleProviderKnown     = "provider_payment_has_intent" // the provider holds no money that no intent knows
	RuleOrderChargedOnce  = "order_charged_once"          // the provider holds an order's money once
	RulePostingHasNoOwner = "posting_has_intent"          // no posting without its intent
)

// Finding is one broken rule.
type Finding struct {
	Guarantee     int
	Rule          string
	Subject       string
	Found, Wanted string
}

// Audit is what was found wrong with the room's books.
type Audit struct {
	Findings  []Finding
	Checked   int // rows
	Truncated bool
	Head      int64 // of the room's log
}

func (a *Audit) add(rule, subject, found, wanted string) {
	if len(a.Findings) == findingsMax {
		a.Truncated = true
		return
	}
	a.Findings = append(a.Findings, Finding{guaranteeMoney, rule, subject, found, wanted})
}

// Audit checks the room's rows, its ledger, and the provider's books against
// them. What is under way is left out.
func (p *Payments) Audit(ctx context.Context) (Audit, error) {
	a := Audit{Head: p.Events.Head()}
	err := p.Store.View(ctx, func(tx sqlstore.Tx) error {
		a.Findings, a.Checked, a.Truncated = nil, 0, false
		return errors.Join(p.auditLedger(tx, &a), p.auditRows(tx, &a))
	})
	if err == nil {
		err = p.auditIntents(ctx, &a)
	}
	if lister, can := p.Provider.(provider.Lister); can && err == nil {
		err = p.auditProvider(ctx, lister, &a)
	}
	if err != nil {
		return a, fmt.Errorf("audit payments: %w", err)
	}
	return a, nil
}

// each runs a query whose rows are a subject and a sum.
func each(tx sqlstore.Tx, found func(subject string, sum int64), query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var subject string
		var sum int64
		if err := rows.Scan(&subject, &sum); err != nil {
			return err
		}
		found(subject, sum)
	}
	return rows.Err()
}

func (p *Payments) auditLedger(tx sqlstore.Tx, a *Audit) error {
	var lines int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM ledger_lines WHERE shop = ?`, p.Shop).Scan(&lines); err != nil {
		return err
	}
	a.Checked += lines
	unbalanced := each(tx, func(subject string, sum int64) {
		a.add(RulePostingBalances, subject, fmt.Sprintf("its lines add up to %d", sum), "0")
	}, `SELECT intent_id || ' ' || kind || ' ' || currency, SUM(amount_minor) FROM ledger_lines
		WHERE shop = ? GROUP BY intent_id, kind, currency HAVING SUM(amount_minor) <> 0`, p.Shop)
	ownerless := each(tx, func(subject string, sum int64) {
		a.add(RulePostingHasNoOwner, subject, fmt.Sprintf("%d lines of no intent", sum), "an intent")
	}, `SELECT intent_id, COUNT(*) FROM ledger_lines WHERE shop = ? AND NOT EXISTS
		(SELECT 1 FROM intents WHERE intents.shop = ledger_lines.shop AND intents.id = ledger_lines.intent_id)
		GROUP BY intent_id`, p.Shop)
	return errors.Join(unbalanced, ownerless)
}

// auditRows compares intents with the ledger and with each other.
func (p *Payments) auditRows(tx sqlstore.Tx, a *Audit) error {
	held := each(tx, func(subject string, sum int64) {
		a.add(RuleHoldInLedger, subject, fmt.Sprintf("the ledger holds %d", sum), "the intent's amount while it is held, else 0")
	}, `SELECT i.id, COALESCE(SUM(l.amount_minor), 0) FROM intents i
		LEFT JOIN ledger_lines l ON l.shop = i.shop AND l.intent_id = i.id AND l.account = ? AND l.currency = i.currency
		WHERE i.shop = ? GROUP BY i.id, i.held, i.amount_minor
		HAVING COALESCE(SUM(l.amount_minor), 0) <> i.held * i.amount_minor`, string(ledger.AuthorizedHold), p.Shop)
	states := each(tx, func(subject string, held int64) {
		a.add(RuleStateHolds, subject, fmt.Sprintf("held = %d", held), "1 if authorized, 0 if declined, voided or failed")
	}, `SELECT id, held FROM intents WHERE shop = ? AND
		((state = 'authorized' AND held = 0) OR (state IN ('declined', 'voided', 'failed') AND held = 1))`, p.Shop)
	live := each(tx, func(subject string, n int64) {
		a.add(RuleOneLiveIntent, subject, fmt.Sprintf("%d attempts that may hold money", n), "at most 1")
	}, `SELECT order_id, COUNT(*) FROM intents WHERE shop = ? AND state NOT IN ('declined', 'voided', 'failed')
		GROUP BY order_id HAVING COUNT(*) > 1`, p.Shop)
	return errors.Join(held, states, live)
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

func (p *Payments) auditIntent(ctx context.Context, i intent.Intent, a *Audit) error {
	a.Checked++
	payment, err := p.Provider.Get(ctx, i.ProviderID)
	if err != nil && !errors.Is(err, provider.ErrNotFound) {
		return err
	}
	if !i.State.Final() || agrees(i, payment) {
		return nil
	}
	now, err := p.Get(ctx, i.ID)
	if err != nil || now != i {
		return err // it changed while we looked
	}
	a.add(RuleMatchesProvider, i.ID,
		fmt.Sprintf("the provider says %q of %s", payment.Status, payment.Amount),
		fmt.Sprintf("%s of %s", i.State, i.Amount))
	return nil
}

// agrees compares a final intent with the provider's payment; one that the
// provider never heard of holds nothing.
func agrees(i intent.Intent, payment provider.Payment) bool {
	if i.State == intent.Authorized {
		return payment.Status == provider.Authorized && payment.Amount == i.Amount && payment.Reference == i.Order
	}
	return payment.Status != provider.Authorized
}

// auditProvider looks for money at the provider that nobody here knows of.
// Intents are stored before money moves, so none is too young to be known.
func (p *Payments) auditProvider(ctx context.Context, lister provider.Lister, a *Audit) error {
	charged := map[string]string{}
	for cursor := ""; ; {
		page, next, err := lister.List(ctx, cursor, pageMax)
		if err != nil {
			return err
		}
		if err := p.auditPayments(ctx, page, charged, a); err != nil {
			return err
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

func (p *Payments) auditPayments(ctx context.Context, page []provider.Payment, charged map[string]string, a *Audit) error {
	return p.Store.View(ctx, func(tx sqlstore.Tx) error {
		for _, payment := range page {
			if payment.Status != provider.Authorized {
				continue
			}
			if first, twice := charged[payment.Reference]; twice && first != payment.ID {
				a.add(RuleOrderChargedOnce, payment.Reference, "held by "+first+" and "+payment.ID, "held once")
			}
			charged[payment.Reference] = payment.ID
			_, err := p.byProviderID(tx, p.Provider.Name(), payment.ID)
			if errors.Is(err, sqlstore.ErrNoRows) {
				a.add(RuleProviderKnown, payment.ID, "holds "+payment.Amount.String()+" of "+payment.Reference, "an intent")
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}
