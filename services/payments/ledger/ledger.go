// Package ledger is the double-entry book of payments: every movement of money
// is a posting whose lines add up to nothing in each currency, so the sum of
// all accounts is nothing too, and a balance is the sum of an account's lines.
//
//	authorize   authorized_hold +   customer −
//	void        authorized_hold −   customer +
//
// authorized_hold is what providers hold for us and is not ours yet; customer
// is what customers have set aside for it.
package ledger

import (
	"fmt"

	"github.com/seed-21071466/souk/money"
)

// Account is a line of the book.
type Account string

// The accounts.
const (
	AuthorizedHold Account = "authorized_hold"
	Customer       Account = "customer"
)

// Kind says what a posting is of.
type Kind string

// The kinds of posting.
const (
	Authorize Kind = "authorize"
	Void      Kind = "void"
)

// Posting is one movement of money. An intent has at most one of each kind.
type Posting struct {
	Intent string
	Kind   Kind
	Lines  []Line
}

// Line is a debit when its amount is positive, a credit when negative.
type Line struct {
	Account Account
	Amount  money.Money
}

// Held is the posting of an authorization.
func Held(intent string, amount money.Money) Posting {
	return transfer(intent, Authorize, AuthorizedHold, Customer, amount)
}

// Released is the posting of a void.
func Released(intent string, amount money.Money) Posting {
	return transfer(intent, Void, Customer, AuthorizedHold, amount)
}

func transfer(intent string, kind Kind, debit, credit Account, amount money.Money) Posting {
	return Posting{intent, kind, []Line{
		{debit, amount},
		{credit, money.Of(-amount.Minor, amount.Currency)},
	}}
}

// Check refuses a posting that does not balance in each of its currencies.
func (p Posting) Check() error {
	sums := make(map[string]money.Money, 1)
	for _, line := range p.Lines {
		sum, begun := sums[line.Amount.Currency]
		if !begun {
			sum = money.Zero(line.Amount.Currency)
		}
		sum, err := sum.Add(line.Amount)
		if err != nil {
			return fmt.Errorf("check posting %s of %s: %w", p.Kind, p.Intent, err)
		}
		sums[line.Amount.Currency] = sum
	}
	for _, sum := range sums {
		if !sum.IsZero() {
			return fmt.Errorf("check posting %s of %s: its lines add up to %s, not to nothing", p.Kind, p.Intent, sum)
		}
	}
	if len(p.Lines) < 2 {
		return fmt.Errorf("check posting %s of %s: it has %d lines, not two or more", p.Kind, p.Intent, len(p.Lines))
	}
	return nil
}
