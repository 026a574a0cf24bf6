package app

import (
	"errors"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/ledger"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// sums are what accounts have to have, by currency.
type sums map[ledger.Account]map[string]int64

func (s sums) add(account ledger.Account, currency string, minor int64) {
	if s[account] == nil {
		s[account] = map[string]int64{}
	}
	s[account][currency] += minor
}

// accounts compares the balances with what intents, operations and wallets come to.
func (b *books) accounts() error {
	want := sums{}
	err := errors.Join(b.sumIntents(want), b.sumWallets(want), b.sumEntries(want))
	if err != nil {
		return err
	}
	have, err := accountsIn(b.tx, b.Shop)
	for _, account := range have {
		name, currency := ledger.Account(account.Name), account.Balance.Currency
		if account.Balance.Minor != want[name][currency] {
			b.a.add(RuleAccountIsTheSum, account.Name, "it has "+account.Balance.String(), money.Of(want[name][currency], currency).String())
		}
		delete(want[name], currency)
	}
	for name, left := range want {
		for currency, minor := range left {
			if minor != 0 {
				b.a.add(RuleAccountIsTheSum, string(name), "there is no such account", money.Of(minor, currency).String())
			}
		}
	}
	return err
}

// sumIntents adds what providers hold, which is the opposite of the customers'
// side, and what they owe us for sales.
func (b *books) sumIntents(want sums) error {
	return b.each(func(row scanner) error {
		var currency string
		var held, owed int64
		err := row.Scan(&currency, &held, &owed)
		want.add(ledger.AuthorizedHold, currency, held)
		want.add(ledger.Customer, currency, -held)
		want.add(ledger.ProviderReceivable, currency, owed)
		want.add(ledger.Sales, currency, -owed)
		return err
	}, `SELECT currency, SUM(held * (amount_minor - captured_minor)), SUM(captured_minor - refunded_minor)
		FROM intents WHERE shop = ? GROUP BY currency`)
}

// sumWallets adds what we owe to wallets.
func (b *books) sumWallets(want sums) error {
	return b.each(func(row scanner) error {
		var currency string
		var balance, held int64
		err := row.Scan(&currency, &balance, &held)
		want.add(ledger.StoreCredit, currency, -balance)
		want.add(ledger.StoreCreditHeld, currency, -held)
		return err
	}, `SELECT currency, SUM(balance_minor), SUM(held_minor) FROM wallets WHERE shop = ? GROUP BY currency`)
}

// sumEntries adds what came into wallets from outside, and what was sold for it.
func (b *books) sumEntries(want sums) error {
	return b.each(func(row scanner) error {
		var kind wallet.Kind
		var currency string
		var minor int64
		err := row.Scan(&kind, &currency, &minor)
		switch kind {
		case wallet.Deposited:
			want.add(ledger.Cash, currency, minor)
		case wallet.Withdrawn:
			want.add(ledger.Cash, currency, -minor)
		case wallet.Captured:
			want.add(ledger.Sales, currency, -minor)
		case wallet.Refunded:
			want.add(ledger.Sales, currency, minor)
		}
		return err
	}, `SELECT kind, currency, SUM(amount_minor) FROM wallet_entries WHERE shop = ? GROUP BY kind, currency`)
}
