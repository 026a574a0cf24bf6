package app

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/ledger"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// foldPage is how many events of a wallet are folded at once.
const foldPage = 500

// wallets folds every wallet's stream and compares the fold with the row and the
// entries, then the entries with the ledger.
func (b *books) wallets() error {
	for subject, currency := "", ""; ; {
		page, err := b.selectWallets(b.tx, ` AND (subject_id, currency) > (?, ?)`, pageMax, subject, currency)
		if err != nil {
			return err
		}
		for _, w := range page {
			if err := b.wallet(w); err != nil {
				return err
			}
			subject, currency = w.Subject, w.Currency
		}
		if len(page) < pageMax {
			return errors.Join(b.entries(), b.setAside())
		}
	}
}

func (b *books) wallet(row Wallet) error {
	name := stream(row.Subject, row.Currency)
	fold := wallet.Wallet{Currency: row.Currency}
	for {
		events, err := b.Events.Stream(b.tx, name, fold.Version, foldPage)
		if err != nil {
			return err
		}
		for _, event := range events {
			var told ToldEntry
			if err := json.Unmarshal(event.Data, &told); err != nil {
				return fmt.Errorf("read event %d: %w", event.Position, err)
			}
			fold = fold.Evolve(wallet.Event{Kind: wallet.Kind(event.Type), AmountMinor: told.Amount.Minor, Order: told.Order})
			if fold.Balance != told.Balance || fold.Held != told.Held {
				b.a.add(RuleWalletIsFold, name, fmt.Sprintf("after entry %d it says %d and %d held", fold.Version, told.Balance, told.Held),
					fmt.Sprintf("%d and %d", fold.Balance, fold.Held))
			}
			if fold.Balance < 0 || fold.Held < 0 {
				b.a.add(RuleWalletNotBelow, name, fmt.Sprintf("after entry %d it has %d and %d held", fold.Version, fold.Balance, fold.Held), "0 or more")
			}
		}
		b.a.Checked += len(events)
		if len(events) < foldPage {
			break
		}
	}
	if row.Wallet != fold {
		b.a.add(RuleWalletIsFold, name, fmt.Sprintf("its row has %d, %d held, %d entries", row.Balance, row.Held, row.Version),
			fmt.Sprintf("%d, %d and %d, which its stream comes to", fold.Balance, fold.Held, fold.Version))
	}
	return b.entriesOf(row)
}

// entriesOf wants as many entries as the wallet has events, each following from
// the one before.
func (b *books) entriesOf(row Wallet) error {
	w := wallet.Wallet{Currency: row.Currency}
	err := b.each(func(from scanner) error {
		var e wallet.Event
		var number, balance int64
		if err := from.Scan(&number, &e.Kind, &e.AmountMinor, &balance); err != nil {
			return err
		}
		if w = w.Evolve(e); w.Version != number || w.Balance != balance {
			b.a.add(RuleWalletIsFold, entryID(row.Subject, row.Currency, number), fmt.Sprintf("says %d", balance), fmt.Sprintf("%d as entry %d", w.Balance, w.Version))
			w.Version, w.Balance = number, balance
		}
		return nil
	}, `SELECT number, kind, amount_minor, balance_minor FROM wallet_entries WHERE shop = ? AND subject_id = ? AND currency = ? ORDER BY number`,
		row.Subject, row.Currency)
	if err == nil && w.Version != row.Version {
		b.a.add(RuleWalletIsFold, stream(row.Subject, row.Currency), fmt.Sprintf("%d entries", w.Version), fmt.Sprint(row.Version))
	}
	return err
}

// entries compares each entry with its posting.
func (b *books) entries() error {
	return b.each(func(row scanner) error {
		var owner string
		var kind wallet.Kind
		var amount money.Money
		var lines int
		var debit, credit ledger.Account
		var minor int64
		if err := row.Scan(&owner, &kind, &amount.Minor, &amount.Currency, &lines, &debit, &credit, &minor); err != nil {
			return err
		}
		b.a.Checked++
		want := ledger.Entered(owner, kind, amount).Lines
		if lines != len(want) || debit != want[0].Account || credit != want[1].Account || minor != amount.Minor {
			b.a.add(RuleEntryInLedger, owner, fmt.Sprintf("%d lines move %d from %q to %q", lines, minor, credit, debit),
				fmt.Sprintf("%d from %s to %s", amount.Minor, want[1].Account, want[0].Account))
		}
		return nil
	}, `SELECT `+entryOwner+`, e.kind, e.amount_minor, e.currency, COUNT(l.line),
		COALESCE(MAX(CASE WHEN l.amount_minor > 0 THEN l.account END), ''), COALESCE(MAX(CASE WHEN l.amount_minor < 0 THEN l.account END), ''),
		COALESCE(SUM(CASE WHEN l.amount_minor > 0 THEN l.amount_minor END), 0)
		FROM wallet_entries e LEFT JOIN ledger_lines l ON l.shop = e.shop AND l.owner_id = `+entryOwner+` AND l.currency = e.currency
		WHERE e.shop = ? GROUP BY e.shop, e.subject_id, e.currency, e.number`)
}

// setAside wants what wallets hold to be what is left of orders' credits.
func (b *books) setAside() error {
	return b.broken(RuleCreditTaken, "the wallet's row holds %d", "what is left of the credits of its orders",
		`SELECT 'wallet_' || w.subject_id || '_' || w.currency, w.held_minor FROM wallets w LEFT JOIN
		(SELECT shop, subject_id, currency, SUM(amount_minor - captured_minor - released_minor) AS kept FROM credits GROUP BY shop, subject_id, currency) c
		ON c.shop = w.shop AND c.subject_id = w.subject_id AND c.currency = w.currency
		WHERE w.shop = ? AND w.held_minor <> COALESCE(c.kept, 0)`)
}
