package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// findingsMax bounds an audit's answer.
const findingsMax = 1000

// guaranteeMoney is the number of the guarantee that this room's rules are
// part of: the books of money hold.
const guaranteeMoney = 3

// The rules of this room's books.
const (
	RulePostingBalances   = "posting_balances"              // the lines of a posting add up to nothing
	RulePostingHasNoOwner = "posting_has_intent"            // no posting without its intent, operation or entry
	RuleHoldInLedger      = "hold_is_in_ledger"             // an intent holds money exactly if the ledger says so
	RuleOperationInLedger = "operation_is_in_ledger"        // a capture or a refund moved exactly what the ledger says
	RuleEntryInLedger     = "wallet_entry_is_in_ledger"     // an entry of a wallet moved exactly what the ledger says
	RuleAccountIsTheSum   = "account_is_the_sum"            // an account has what intents, operations and wallets come to
	RuleStateHolds        = "authorized_intent_holds"       // an intent is authorized only with its money held
	RuleOneLiveIntent     = "one_live_intent_per_order"     // at most one attempt of an order can hold money
	RuleWithinAuthorized  = "captures_within_authorization" // captures are what the intent says, at most its amount
	RuleWithinCaptured    = "refunds_within_captures"       // refunds are what the intent says, at most its captures
	RuleCreditTaken       = "credit_is_what_was_taken"      // store credit was taken by captures, within what was set aside
	RuleWalletIsFold      = "wallet_is_the_fold"            // a wallet is the fold of its stream
	RuleWalletNotBelow    = "wallet_not_below_nothing"      // and never below nothing
	RuleMatchesProvider   = "intent_matches_provider"       // what an intent says, the provider's books say
	RuleProviderKnown     = "provider_payment_has_intent"   // the provider holds no money that no intent knows
	RuleOrderChargedOnce  = "order_charged_once"            // the provider holds an order's money once
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

// Audit checks the room's rows, its ledger, its wallets, and the provider's
// books against them. What is under way is left out.
func (p *Payments) Audit(ctx context.Context) (Audit, error) {
	a := Audit{Head: p.Events.Head()}
	err := p.Store.View(ctx, func(tx sqlstore.Tx) error {
		a.Findings, a.Checked, a.Truncated = nil, 0, false
		b := books{p, tx, &a}
		return errors.Join(b.ledger(), b.intents(), b.operations(), b.credits(), b.wallets(), b.accounts())
	})
	if err == nil {
		err = p.auditProvider(ctx, &a)
	}
	if err != nil {
		return a, fmt.Errorf("audit payments: %w", err)
	}
	return a, nil
}

// books is one reading of the room's rows.
type books struct {
	*Payments
	tx sqlstore.Tx
	a  *Audit
}

// each runs a query of this shop's rows.
func (b *books) each(row func(scanner) error, query string, more ...any) error {
	rows, err := b.tx.Query(query, append([]any{b.Shop}, more...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// broken runs a query whose rows are a subject and a sum that should not be.
func (b *books) broken(rule, found, wanted, query string, more ...any) error {
	return b.each(func(row scanner) error {
		var subject string
		var sum int64
		err := row.Scan(&subject, &sum)
		b.a.add(rule, subject, fmt.Sprintf(found, sum), wanted)
		return err
	}, query, more...)
}
