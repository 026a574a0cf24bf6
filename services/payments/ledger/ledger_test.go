package ledger_test

import (
	"fmt"
	"testing"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/ledger"
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
	} {
		t.Run(name, func(t *testing.T) {
			if err := (ledger.Posting{Intent: "pay_1", Kind: ledger.Authorize, Lines: c.lines}).Check(); (err == nil) != c.ok {
				t.Errorf("check: %v", err)
			}
		})
	}
}

func Example() {
	held := ledger.Held("pay_1", money.Of(1999, "GBP"))
	fmt.Println(held.Check(), held.Lines[0].Account, held.Lines[0].Amount, held.Lines[1].Account, held.Lines[1].Amount)
	// Output: <nil> authorized_hold 19.99 GBP customer -19.99 GBP
}
