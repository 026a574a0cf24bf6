package ledger_test

import (
	"fmt"
	"testing"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/ledger"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

func TestOnlyBalancedPostingsPass(t *testing.T) {
	line := func(minor int64, currency string) ledger.Line {
		return ledger.Line{Account: ledger.Customer, Amount: money.Of(minor, currency)}
	}
	for name, c := range map[string]struct {
		lines []ledger.Line
		ok    bool
	}{
		"debits equal credits":               {[]ledger.Line{line(5, "GBP"), line(-3, "GBP"), line(-2, "GBP")}, true},
		"a cent is missing":                  {[]ledger.Line{line(5, "GBP"), line(-4, "GBP")}, false},
		"balanced only across currencies":    {[]ledger.Line{line(5, "GBP"), line(-5, "EUR")}, false},
		"balanced in each of its currencies": {[]ledger.Line{line(5, "GBP"), line(-5, "GBP"), line(7, "JPY"), line(-7, "JPY")}, true},
		"one line of nothing":                {[]ledger.Line{line(0, "GBP")}, false},
		"no lines":                           {nil, false},
		"on no account":                      {[]ledger.Line{{Amount: money.Of(5, "GBP")}, line(-5, "GBP")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := (ledger.Posting{Owner: "pay_1", Kind: ledger.Authorize, Lines: c.lines}).Check(); (err == nil) != c.ok {
				t.Errorf("check: %v", err)
			}
		})
	}
}

// TestTheLifeOfMoney posts what orders go through and looks what is left on
// each account.
func TestTheLifeOfMoney(t *testing.T) {
	gbp := func(minor int64) money.Money { return money.Of(minor, "GBP") }
	authorized, captured := ledger.Held("pay_1", gbp(100)), ledger.Captured("cap_1", gbp(60))
	entry := func(kind wallet.Kind, minor int64) ledger.Posting {
		return ledger.Entered("wallet_sub_1_GBP/1", kind, gbp(minor))
	}
	for name, c := range map[string]struct {
		postings []ledger.Posting
		left     map[ledger.Account]int64
	}{
		"authorized": {[]ledger.Posting{authorized}, map[ledger.Account]int64{ledger.AuthorizedHold: 100, ledger.Customer: -100}},
		"voided":     {[]ledger.Posting{authorized, ledger.Released("pay_1", gbp(100))}, nil},
		"captured for less, the rest let go": {
			[]ledger.Posting{authorized, captured, ledger.Released("pay_1", gbp(40))},
			map[ledger.Account]int64{ledger.ProviderReceivable: 60, ledger.Sales: -60},
		},
		"captured and refunded": {
			[]ledger.Posting{authorized, captured, ledger.Released("pay_1", gbp(40)), ledger.Refunded("rfd_1", gbp(60))}, nil,
		},
		"store credit held": {
			[]ledger.Posting{entry(wallet.Deposited, 50), entry(wallet.Held, 30)},
			map[ledger.Account]int64{ledger.Cash: 50, ledger.StoreCredit: -20, ledger.StoreCreditHeld: -30},
		},
		"store credit captured in part": {
			[]ledger.Posting{entry(wallet.Deposited, 50), entry(wallet.Held, 30), entry(wallet.Captured, 10), entry(wallet.Released, 20)},
			map[ledger.Account]int64{ledger.Cash: 50, ledger.StoreCredit: -40, ledger.Sales: -10},
		},
		"store credit refunded and withdrawn": {
			[]ledger.Posting{
				entry(wallet.Deposited, 50), entry(wallet.Held, 30), entry(wallet.Captured, 30), entry(wallet.Refunded, 30), entry(wallet.Withdrawn, 50),
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			left := map[ledger.Account]int64{}
			for _, p := range c.postings {
				if err := p.Check(); err != nil {
					t.Error(err)
				}
				for _, line := range p.Lines {
					left[line.Account] += line.Amount.Minor
				}
			}
			for account, minor := range left {
				if minor != c.left[account] {
					t.Errorf("%s has %d, want %d", account, minor, c.left[account])
				}
			}
		})
	}
}

func Example() {
	held := ledger.Held("pay_1", money.Of(1999, "GBP"))
	fmt.Println(held.Check(), held.Lines[0].Account, held.Lines[0].Amount, held.Lines[1].Account, held.Lines[1].Amount)
	// Output: <nil> authorized_hold 19.99 GBP customer -19.99 GBP
}
