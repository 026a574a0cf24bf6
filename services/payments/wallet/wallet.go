// Package wallet is the heart of store credit: a wallet is a subject's balance
// in one currency, the fold of its history.
//
//	       Deposited  Withdrawn
//	           │          ▲
//	           ▼          │
//	         balance ─────┘
//	           │  ▲  ▲
//	CreditHeld ▼  │  └── CreditRefunded
//	          held ── CreditReleased back, CreditCaptured for good
//
// The balance can be spent; what is held is set aside for orders that have not
// been captured yet. Neither is ever below nothing.
package wallet

import (
	"math"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
)

// Kind is what happened to a wallet.
type Kind string

// The kinds of event.
const (
	Deposited Kind = "Deposited"      // money was put in
	Withdrawn Kind = "Withdrawn"      // money was taken out
	Held      Kind = "CreditHeld"     // set aside for an order
	Released  Kind = "CreditReleased" // no longer set aside
	Captured  Kind = "CreditCaptured" // an order took what was set aside
	Refunded  Kind = "CreditRefunded" // an order gave it back
)

var words = map[Kind]string{
	Deposited: "deposited", Withdrawn: "withdrawn", Held: "held", Released: "released", Captured: "captured", Refunded: "refunded",
}

// Word is the kind as people and contracts say it, "" for an unknown one.
func (k Kind) Word() string { return words[k] }

// KindOf is the kind of that word, "" for an unknown one.
func KindOf(word string) Kind {
	for k, w := range words {
		if w == word {
			return k
		}
	}
	return ""
}

// Event is one entry of a wallet's history.
type Event struct {
	Kind        Kind
	AmountMinor int64
	Order       string // behind it, if any
}

// Wallet is what its history has come to, in minor units of one currency.
type Wallet struct {
	Currency string
	Balance  int64 // can be spent
	Held     int64 // set aside
	Version  int64 // entries
}

// The codes of this heart's refusals.
const (
	CodeInsufficient = "insufficient_credit" // the balance does not cover it
	CodeNotHeld      = "credit_not_held"     // more than is set aside
	CodeTooMuch      = "balance_too_large"   // beyond what can be counted
)

// Decide lets an event happen, or says why it cannot.
func (w Wallet) Decide(e Event) (Wallet, error) {
	switch {
	case e.Kind.Word() == "":
		return w, problem.Newf(problem.Internal, "wallet_event", "%q is nothing that happens to a wallet", e.Kind)
	case e.AmountMinor <= 0:
		return w, problem.Field("amount", "out_of_range", "must be more than nothing")
	case (e.Kind == Withdrawn || e.Kind == Held) && e.AmountMinor > w.Balance:
		return w, w.short(CodeInsufficient, "balance", w.Balance)
	case (e.Kind == Released || e.Kind == Captured) && e.AmountMinor > w.Held:
		return w, w.short(CodeNotHeld, "held", w.Held)
	case (e.Kind == Deposited || e.Kind == Refunded) && e.AmountMinor > math.MaxInt64-w.Balance-w.Held:
		return w, problem.New(problem.Unprocessable, CodeTooMuch, "the wallet would hold more than can be counted")
	}
	return w.Evolve(e), nil
}

func (w Wallet) short(code, word string, minor int64) error {
	has := money.Of(minor, w.Currency)
	return problem.Newf(problem.Conflict, code, "the wallet has only %s", has).
		With("currency", w.Currency).With(word, has.Format())
}

// Evolve is the wallet after an event.
func (w Wallet) Evolve(e Event) Wallet {
	w.Version++
	switch e.Kind {
	case Deposited, Refunded:
		w.Balance += e.AmountMinor
	case Withdrawn:
		w.Balance -= e.AmountMinor
	case Held:
		w.Balance -= e.AmountMinor
		w.Held += e.AmountMinor
	case Released:
		w.Held -= e.AmountMinor
		w.Balance += e.AmountMinor
	case Captured:
		w.Held -= e.AmountMinor
	}
	return w
}
