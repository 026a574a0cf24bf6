// Package ledger is the double-entry book of payments: every movement of money
// is a posting whose lines add up to nothing in each currency, so the sum of
// all accounts is nothing too, and a balance is the sum of an account's lines.
//
//	authorize   authorized_hold +       customer −
//	void        authorized_hold −       customer +
//	capture     authorized_hold −       customer +
//	            provider_receivable +   sales −
//	refund      provider_receivable −   sales +
//
//	deposited   cash +                  store_credit −
//	withdrawn   cash −                  store_credit +
//	held        store_credit +          store_credit_held −
//	released    store_credit −          store_credit_held +
//	captured    store_credit_held +     sales −
//	refunded    store_credit −          sales +
//
// authorized_hold is what providers hold for us and is not ours yet; customer
// is what customers have set aside for it. provider_receivable is what
// providers took for us and owe us; sales is what was sold, less refunds. Store
// credit is what we owe to wallets, and what of it is set aside for orders.
package ledger

import (
	"fmt"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

// Account is a line of the book.
type Account string

// The accounts.
const (
	AuthorizedHold     Account = "authorized_hold"
	Customer           Account = "customer"
	ProviderReceivable Account = "provider_receivable"
	Sales              Account = "sales"
	Cash               Account = "cash"
	StoreCredit        Account = "store_credit"
	StoreCreditHeld    Account = "store_credit_held"
)

// Kind says what a posting is of.
type Kind string

// The kinds of posting; those of a wallet's entries are the entries' words.
const (
	Authorize Kind = "authorize"
	Void      Kind = "void"
	Capture   Kind = "capture"
	Refund    Kind = "refund"
)

// Posting is one movement of money. Its owner, an intent, a capture, a refund or
// an entry of a wallet, has at most one of each kind.
type Posting struct {
	Owner string
	Kind  Kind
	Lines []Line
}

// Line is a debit when its amount is positive, a credit when negative.
type Line struct {
	Account Account
	Amount  money.Money
}

// Held is the posting of an authorization.
func Held(intent string, amount money.Money) Posting {
	return Posting{intent, Authorize, transfer(AuthorizedHold, Customer, amount)}
}

// Released is the posting of a void, of what was not captured.
func Released(intent string, amount money.Money) Posting {
	return Posting{intent, Void, transfer(Customer, AuthorizedHold, amount)}
}

// Captured is the posting of what a provider took.
func Captured(capture string, amount money.Money) Posting {
	return Posting{capture, Capture, append(transfer(Customer, AuthorizedHold, amount), transfer(ProviderReceivable, Sales, amount)...)}
}

// Refunded is the posting of what a provider gave back.
func Refunded(refund string, amount money.Money) Posting {
	return Posting{refund, Refund, transfer(Sales, ProviderReceivable, amount)}
}

// sides are the debit and the credit of a wallet's entry.
var sides = map[wallet.Kind][2]Account{
	wallet.Deposited: {Cash, StoreCredit},
	wallet.Withdrawn: {StoreCredit, Cash},
	wallet.Held:      {StoreCredit, StoreCreditHeld},
	wallet.Released:  {StoreCreditHeld, StoreCredit},
	wallet.Captured:  {StoreCreditHeld, Sales},
	wallet.Refunded:  {Sales, StoreCredit},
}

// Entered is the posting of a wallet's entry.
func Entered(entry string, kind wallet.Kind, amount money.Money) Posting {
	return Posting{entry, Kind(kind.Word()), transfer(sides[kind][0], sides[kind][1], amount)}
}

func transfer(debit, credit Account, amount money.Money) []Line {
	return []Line{{debit, amount}, {credit, money.Of(-amount.Minor, amount.Currency)}}
}

// Check refuses a posting that does not balance in each of its currencies.
func (p Posting) Check() error {
	if len(p.Lines) < 2 {
		return fmt.Errorf("check posting %s of %s: it has %d lines, not two or more", p.Kind, p.Owner, len(p.Lines))
	}
	sums := make(map[string]money.Money, 1)
	for _, line := range p.Lines {
		sum, begun := sums[line.Amount.Currency]
		if !begun {
			sum = money.Zero(line.Amount.Currency)
		}
		sum, err := sum.Add(line.Amount)
		switch {
		case line.Account == "":
			return fmt.Errorf("check posting %s of %s: a line has no account", p.Kind, p.Owner)
		case err != nil:
			return fmt.Errorf("check posting %s of %s: %w", p.Kind, p.Owner, err)
		}
		sums[line.Amount.Currency] = sum
	}
	for _, sum := range sums {
		if !sum.IsZero() {
			return fmt.Errorf("check posting %s of %s: its lines add up to %s, not to nothing", p.Kind, p.Owner, sum)
		}
	}
	return nil
}
