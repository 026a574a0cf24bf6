package wallet_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

func live(t *testing.T, events ...wallet.Event) wallet.Wallet {
	t.Helper()
	w := wallet.Wallet{Currency: "GBP"}
	for _, e := range events {
		next, err := w.Decide(e)
		if err != nil {
			t.Fatalf("%+v of %+v: %v", e, w, err)
		}
		w = next
	}
	return w
}

func is(kind wallet.Kind, minor int64) wallet.Event {
	return wallet.Event{Kind: kind, AmountMinor: minor}
}

func TestHistories(t *testing.T) {
	for name, c := range map[string]struct {
		events        []wallet.Event
		balance, held int64
	}{
		"nothing yet": {nil, 0, 0},
		"deposit 50, withdraw 20, deposit 70": {
			[]wallet.Event{is(wallet.Deposited, 50), is(wallet.Withdrawn, 20), is(wallet.Deposited, 70)}, 100, 0,
		},
		"credit is held":              {[]wallet.Event{is(wallet.Deposited, 50), is(wallet.Held, 30)}, 20, 30},
		"held credit is released":     {[]wallet.Event{is(wallet.Deposited, 50), is(wallet.Held, 30), is(wallet.Released, 30)}, 50, 0},
		"held credit is captured":     {[]wallet.Event{is(wallet.Deposited, 50), is(wallet.Held, 30), is(wallet.Captured, 30)}, 20, 0},
		"in part, the rest released":  {[]wallet.Event{is(wallet.Deposited, 50), is(wallet.Held, 30), is(wallet.Captured, 10), is(wallet.Released, 20)}, 40, 0},
		"captured credit is refunded": {[]wallet.Event{is(wallet.Deposited, 50), is(wallet.Held, 30), is(wallet.Captured, 30), is(wallet.Refunded, 5)}, 25, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if w := live(t, c.events...); w.Balance != c.balance || w.Held != c.held || w.Version != int64(len(c.events)) {
				t.Errorf("%+v, want %d and %d held", w, c.balance, c.held)
			}
		})
	}
}

func TestWhatAWalletDoesNotHaveIsRefused(t *testing.T) {
	w := live(t, is(wallet.Deposited, 50), is(wallet.Held, 30))
	for name, c := range map[string]struct {
		event wallet.Event
		code  string
	}{
		"more than the balance is withdrawn": {is(wallet.Withdrawn, 21), wallet.CodeInsufficient},
		"more than the balance is held":      {is(wallet.Held, 21), wallet.CodeInsufficient},
		"more than is held is released":      {is(wallet.Released, 31), wallet.CodeNotHeld},
		"more than is held is captured":      {is(wallet.Captured, 31), wallet.CodeNotHeld},
		"nothing is deposited":               {is(wallet.Deposited, 0), "invalid_request"},
		"less than nothing is withdrawn":     {is(wallet.Withdrawn, -1), "invalid_request"},
		"more than can be counted":           {is(wallet.Deposited, math.MaxInt64-49), wallet.CodeTooMuch},
		"something else":                     {is("Lost", 1), "wallet_event"},
	} {
		t.Run(name, func(t *testing.T) {
			if after, err := w.Decide(c.event); !problem.Is(err, c.code) || after != w {
				t.Errorf("%+v, %v; want it refused as %s", after, err, c.code)
			}
		})
	}
}

func TestNeverBelowNothingAndTheBalanceIsTheFold(t *testing.T) {
	kinds := []wallet.Kind{wallet.Deposited, wallet.Withdrawn, wallet.Held, wallet.Released, wallet.Captured, wallet.Refunded}
	rapid.Check(t, func(t *rapid.T) {
		w, fold := wallet.Wallet{Currency: "GBP"}, wallet.Wallet{Currency: "GBP"}
		var in, out int64
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			e := is(rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.Int64Range(-5, 100).Draw(t, "minor"))
			next, err := w.Decide(e)
			if err != nil {
				if next != w {
					t.Fatalf("refused, and changed: %+v, %+v", w, next)
				}
				continue
			}
			w, fold = next, fold.Evolve(e)
			switch e.Kind {
			case wallet.Deposited, wallet.Refunded:
				in += e.AmountMinor
			case wallet.Withdrawn, wallet.Captured:
				out += e.AmountMinor
			}
			if w != fold || w.Balance < 0 || w.Held < 0 || w.Balance+w.Held != in-out {
				t.Fatalf("%+v, the fold is %+v, %d came in and %d went out", w, fold, in, out)
			}
		}
	})
}

func TestEveryKindHasItsWord(t *testing.T) {
	for _, k := range []wallet.Kind{wallet.Deposited, wallet.Withdrawn, wallet.Held, wallet.Released, wallet.Captured, wallet.Refunded} {
		if k.Word() == "" || wallet.KindOf(k.Word()) != k {
			t.Errorf("%s is %q, which is %s", k, k.Word(), wallet.KindOf(k.Word()))
		}
	}
	if k := wallet.KindOf("lost"); k != "" {
		t.Errorf("an unknown word is %s", k)
	}
}

func TestCreditLives(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	held := wallet.Credit{Order: "ord_1", Amount: money.Of(30, "GBP")}
	part := held
	part.CapturedMinor = 10
	for name, c := range map[string]struct {
		of     wallet.Credit
		taking int64
		let    int64
		state  wallet.CreditState
	}{
		"all of it is let go":                     {held, 0, 30, wallet.CreditReleased},
		"what was captured stays captured":        {part, 0, 20, wallet.CreditCaptured},
		"what is being captured stays set aside":  {part, 15, 5, wallet.CreditHeld},
		"all of the rest is being captured":       {part, 20, 0, wallet.CreditHeld},
		"credit that never was is nothing at all": {wallet.Credit{}, 0, 0, wallet.CreditNone},
	} {
		t.Run(name, func(t *testing.T) {
			after, let := c.of.Release(c.taking, at)
			if let != c.let || after.State() != c.state || !after.Closed {
				t.Errorf("let go of %d, %s: %+v", let, after.State(), after)
			}
			if again, more := after.Release(c.taking, at.Add(time.Hour)); more != 0 || again != after {
				t.Errorf("and again of %d: %+v", more, again)
			}
		})
	}
}

func Example() {
	w := wallet.Wallet{Currency: "GBP"}
	for _, e := range []wallet.Event{
		{Kind: wallet.Deposited, AmountMinor: 5000}, {Kind: wallet.Withdrawn, AmountMinor: 2000}, {Kind: wallet.Deposited, AmountMinor: 7000},
	} {
		w, _ = w.Decide(e)
	}
	fmt.Println(money.Of(w.Balance, w.Currency), "after", w.Version, "entries")
	_, err := w.Decide(wallet.Event{Kind: wallet.Withdrawn, AmountMinor: 10001})
	fmt.Println(err)
	// Output:
	// 100.00 GBP after 3 entries
	// insufficient_credit: the wallet has only 100.00 GBP
}
