package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/ledger"
)

// post writes postings, which must balance; the key of their lines keeps an
// owner from being posted twice.
func (p *Payments) post(tx sqlstore.Tx, postings ...ledger.Posting) error {
	now, rows := p.now().UnixMicro(), ""
	args := make([]any, 0, 32)
	for _, posting := range postings {
		if err := posting.Check(); err != nil {
			return err
		}
		for n, line := range posting.Lines {
			rows += ", (?, ?, ?, ?, ?, ?, ?, ?)"
			args = append(args, p.Shop, posting.Owner, string(posting.Kind), n, string(line.Account), line.Amount.Minor, line.Amount.Currency, now)
		}
	}
	if rows == "" {
		return nil
	}
	err := tx.Do(`INSERT INTO ledger_lines
		(shop, owner_id, kind, line, account, amount_minor, currency, created_at) VALUES `+rows[2:], args...)
	if err != nil {
		return fmt.Errorf("post %s of %s: %w", postings[0].Kind, postings[0].Owner, err)
	}
	return nil
}

// Account is an account of the ledger with its balance in one currency.
type Account struct {
	Name    string
	Balance money.Money // debits − credits
	Lines   int
}

// Accounts is every account's balance, by name and currency.
func (p *Payments) Accounts(ctx context.Context) (accounts []Account, err error) {
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		accounts, err = accountsIn(tx, p.Shop)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return accounts, nil
}

func accountsIn(tx sqlstore.Tx, shop string) (accounts []Account, err error) {
	rows, err := tx.Query(`SELECT account, currency, SUM(amount_minor), COUNT(*) FROM ledger_lines
		WHERE shop = ? GROUP BY account, currency ORDER BY account, currency`, shop)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var a Account
		if err := rows.Scan(&a.Name, &a.Balance.Currency, &a.Balance.Minor, &a.Lines); err != nil {
			return nil, err
		}
		accounts = append(accounts, a)
	}
	return accounts, rows.Err()
}
