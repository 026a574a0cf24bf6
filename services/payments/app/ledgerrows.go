package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/ledger"
)

// post writes a posting, which must balance; the key of its lines keeps an
// intent from being posted twice.
func (p *Payments) post(tx sqlstore.Tx, posting ledger.Posting) error {
	if err := posting.Check(); err != nil {
		return err
	}
	now, row := p.now().UnixMicro(), "(?, ?, ?, ?, ?, ?, ?, ?)"
	rows, args := row, make([]any, 0, 16)
	for n, line := range posting.Lines {
		if n > 0 {
			rows += ", " + row
		}
		args = append(args, p.Shop, posting.Intent, string(posting.Kind), n, string(line.Account), line.Amount.Minor, line.Amount.Currency, now)
	}
	_, err := tx.Exec(`INSERT INTO ledger_lines
		(shop, intent_id, kind, line, account, amount_minor, currency, created_at) VALUES `+rows, args...)
	if err != nil {
		return fmt.Errorf("post %s of %s: %w", posting.Kind, posting.Intent, err)
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
		accounts = nil
		rows, err := tx.Query(`SELECT account, currency, SUM(amount_minor), COUNT(*) FROM ledger_lines
			WHERE shop = ? GROUP BY account, currency ORDER BY account, currency`, p.Shop)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a Account
			if err := rows.Scan(&a.Name, &a.Balance.Currency, &a.Balance.Minor, &a.Lines); err != nil {
				return err
			}
			accounts = append(accounts, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return accounts, nil
}
