package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		name, amount, currency string
		minor                  int64
		code                   string
	}{
		{"two digits of a two-digit currency", "12.34", "GBP", 1234, ""},
		{"fewer digits are filled up", "12.3", "GBP", 1230, ""},
		{"no point at all", "12", "GBP", 1200, ""},
		{"less than one", "0.05", "GBP", 5, ""},
		{"yen have no digits", "1500", "JPY", 1500, ""},
		{"dinars of Kuwait have three", "1.234", "KWD", 1234, ""},
		{"unidades de fomento have four", "1.2345", "CLF", 12345, ""},
		{"the largest amount", "92233720368547758.07", "GBP", math.MaxInt64, ""},
		{"a third digit of pounds is refused", "12.345", "GBP", 0, money.CodeExcessDigits},
		{"a third digit is refused even as zero", "12.340", "GBP", 0, money.CodeExcessDigits},
		{"a digit of yen is refused", "1500.0", "JPY", 0, money.CodeExcessDigits},
		{"a minus is refused", "-1.00", "GBP", 0, money.CodeBadAmount},
		{"a plus is refused", "+1.00", "GBP", 0, money.CodeBadAmount},
		{"a minus after the point is refused", "1.-1", "GBP", 0, money.CodeBadAmount},
		{"nothing is refused", "", "GBP", 0, money.CodeBadAmount},
		{"a bare point is refused", ".", "GBP", 0, money.CodeBadAmount},
		{"a point without digits before it is refused", ".50", "GBP", 0, money.CodeBadAmount},
		{"a point without digits after it is refused", "5.", "GBP", 0, money.CodeBadAmount},
		{"two points are refused", "1.2.3", "GBP", 0, money.CodeBadAmount},
		{"a thousands comma is refused", "1,000", "GBP", 0, money.CodeBadAmount},
		{"an exponent is refused", "1e3", "GBP", 0, money.CodeBadAmount},
		{"a space is refused", " 1", "GBP", 0, money.CodeBadAmount},
		{"digits of another script are refused", "١٢", "GBP", 0, money.CodeBadAmount},
		{"one minor unit too many is refused", "92233720368547758.08", "GBP", 0, money.CodeOutOfRange},
		{"a very long amount is refused", "000000000000000000000000000000000001", "GBP", 0, money.CodeBadAmount},
		{"an unknown currency is refused", "1", "GBX", 0, money.CodeUnknownCurrency},
		{"a lower-case currency is refused", "1", "gbp", 0, money.CodeUnknownCurrency},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := money.Parse(row.amount, row.currency)
			if !problem.Is(err, row.code) && (err != nil || row.code != "") {
				t.Fatalf("error %v, want code %q", err, row.code)
			}
			if got.Minor != row.minor {
				t.Fatalf("%d minor units, want %d", got.Minor, row.minor)
			}
		})
	}
}

func TestOverflowIsAnErrorAndNeverAWrongSum(t *testing.T) {
	amounts := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1, 0, 1}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := amounts.Draw(t, "a"), amounts.Draw(t, "b")
		m, n := money.Of(a, "GBP"), money.Of(b, "GBP")
		x, y := big.NewInt(a), big.NewInt(b)
		agree(t, m.Add, n, new(big.Int).Add(x, y))
		agree(t, m.Sub, n, new(big.Int).Sub(x, y))
		agree(t, m.Mul, b, new(big.Int).Mul(x, y))
	})
}

func agree[T any](t *rapid.T, operate func(T) (money.Money, error), operand T, want *big.Int) {
	got, err := operate(operand)
	if fits := want.IsInt64(); fits != (err == nil) || fits && got.Minor != want.Int64() {
		t.Fatalf("got %v, %v; exactly it is %v", got, err, want)
	}
}

func TestCurrenciesDoNotMix(t *testing.T) {
	pounds, euros := money.Of(1, "GBP"), money.Of(1, "EUR")
	_, add := pounds.Add(euros)
	_, sub := pounds.Sub(euros)
	_, cmp := pounds.Cmp(euros)
	_, sum := money.Sum("GBP", pounds, euros)
	for _, err := range []error{add, sub, cmp, sum} {
		if !problem.Is(err, money.CodeCurrencyMismatch) {
			t.Errorf("error %v, want %s", err, money.CodeCurrencyMismatch)
		}
	}
}

func TestFormatIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom([]string{"GBP", "JPY", "KWD", "CLF"}).Draw(t, "currency")
		m := money.Of(rapid.Int64Min(-math.MaxInt64).Draw(t, "minor"), currency)
		back, err := money.ParseSigned(m.Format(), currency)
		if err != nil || back != m {
			t.Fatalf("%d was written as %q and read as %v, %v", m.Minor, m.Format(), back, err)
		}
	})
}

func TestSharesAddUpToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := money.Of(rapid.Int64().Draw(t, "minor"), "GBP")
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 20).Draw(t, "weights")
		shares, err := m.Allocate(weights)
		if err != nil {
			if positive(weights) {
				t.Fatal(err)
			}
			return
		}
		exact := new(big.Int)
		for i, share := range shares {
			exact.Add(exact, big.NewInt(share.Minor))
			if weights[i] == 0 && !share.IsZero() {
				t.Fatalf("weight 0 got %v", share)
			}
			if !within(m.Minor, weights, i, share.Minor) {
				t.Fatalf("share %d of %d by %v is %v, more than one unit from its due", i, m.Minor, weights, share)
			}
		}
		if exact.Cmp(big.NewInt(m.Minor)) != 0 {
			t.Fatalf("the shares of %d add up to %v", m.Minor, exact)
		}
	})
}

func positive(weights []int64) bool {
	for _, weight := range weights {
		if weight > 0 {
			return true
		}
	}
	return false
}

// within says that a share is less than one unit from its exact due.
func within(whole int64, weights []int64, i int, share int64) bool {
	total := new(big.Int)
	for _, weight := range weights {
		total.Add(total, big.NewInt(weight))
	}
	due := new(big.Int).Mul(big.NewInt(whole), big.NewInt(weights[i]))
	off := new(big.Int).Mul(big.NewInt(share), total)
	return off.Sub(off, due).CmpAbs(total) < 0
}

func TestWhoGetsTheRoundingCent(t *testing.T) {
	for _, row := range []struct {
		name    string
		minor   int64
		weights []int64
		want    []int64
	}{
		{"the earlier of equals", 100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{"two left over go to the first two", 101, []int64{1, 1, 1}, []int64{34, 34, 33}},
		{"the largest remainder before the earlier", 10, []int64{1, 2, 3}, []int64{2, 3, 5}},
		{"a refund mirrors the sale", -100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
	} {
		t.Run(row.name, func(t *testing.T) {
			shares, err := money.Of(row.minor, "GBP").Allocate(row.weights)
			if err != nil {
				t.Fatal(err)
			}
			for i, share := range shares {
				if share.Minor != row.want[i] {
					t.Fatalf("shares %v, want %v", shares, row.want)
				}
			}
		})
	}
}

func TestSharesThatMeanNothingAreRefused(t *testing.T) {
	m := money.Of(1, "GBP")
	for name, weights := range map[string][]int64{
		"no weight": {}, "only zero": {0, 0}, "a negative one": {2, -1},
		"overflowing": {math.MaxInt64, math.MaxInt64}, "too many": make([]int64, money.SharesMax+1),
	} {
		if _, err := m.Allocate(weights); !problem.Is(err, money.CodeBadShares) {
			t.Errorf("%s: error %v, want %s", name, err, money.CodeBadShares)
		}
	}
	if _, err := m.Split(0); !problem.Is(err, money.CodeBadShares) {
		t.Errorf("split in 0: error %v", err)
	}
}

func TestParseRate(t *testing.T) {
	for _, row := range []struct {
		text string
		want money.Rate
		ok   bool
	}{
		{"0.2", 200_000, true},
		{"20%", 200_000, true},
		{"8.875%", 88_750, true},
		{"0", 0, true},
		{"0.000001", 1, true},
		{"0.0001%", 1, true},
		{"10", 10_000_000, true},
		{"1000%", 10_000_000, true},
		{"1000.0001%", 0, false},
		{"0.0000001", 0, false},
		{"0.00001%", 0, false},
		{"-0.2", 0, false},
		{"%", 0, false},
		{"20 %", 0, false},
		{"", 0, false},
		{"99999999999999999999", 0, false},
	} {
		got, err := money.ParseRate(row.text)
		if got != row.want || (err == nil) != row.ok {
			t.Errorf("%q is %v, %v; want %v, ok %v", row.text, int64(got), err, int64(row.want), row.ok)
		}
		if back, err := money.ParseRate(got.String()); row.ok && (err != nil || back != got) {
			t.Errorf("%q is written as %q and read as %v, %v", row.text, got, back, err)
		}
	}
}

func TestTaxIsRoundedHalfToEven(t *testing.T) {
	for _, row := range []struct {
		name  string
		minor int64
		rate  money.Rate
		tax   int64
	}{
		{"exact", 1000, 200_000, 200},
		{"half, to the even below", 25, 100_000, 2},
		{"half, to the even above", 35, 100_000, 4},
		{"just above half", 26, 100_000, 3},
		{"a refund's half mirrors the sale's", -35, 100_000, -4},
		{"a rate of zero", 999, 0, 0},
	} {
		tax, err := row.rate.Exclusive(money.Of(row.minor, "GBP"))
		if err != nil || tax.Minor != row.tax {
			t.Errorf("%s: tax of %d is %v, %v; want %d", row.name, row.minor, tax, err, row.tax)
		}
	}
	if net, tax, err := money.Rate(200_000).Inclusive(money.Of(1200, "GBP")); err != nil || net.Minor != 1000 || tax.Minor != 200 {
		t.Errorf("12.00 with 20%% inside is %v + %v, %v", net, tax, err)
	}
}

func TestTaxIsTheNearestToTheExactOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := money.Of(rapid.Int64().Draw(t, "minor"), "GBP")
		rate := money.Rate(rapid.Int64Range(0, 10_000_000).Draw(t, "rate"))
		net, tax, err := rate.Inclusive(m)
		if err != nil || net.Minor+tax.Minor != m.Minor || !nearest(m.Minor, int64(rate), 1_000_000+int64(rate), tax.Minor) {
			t.Fatalf("%d holds %v + %v at %v, %v", m.Minor, net, tax, rate, err)
		}
		tax, err = rate.Exclusive(m)
		if err == nil && !nearest(m.Minor, int64(rate), 1_000_000, tax.Minor) {
			t.Fatalf("the tax on %d at %v is %v", m.Minor, rate, tax)
		}
	})
}

// nearest says that got is no more than half a unit from m × n / d, and even
// if it is exactly half.
func nearest(m, n, d, got int64) bool {
	exact := new(big.Int).Mul(big.NewInt(m), big.NewInt(n))
	off := new(big.Int).Sub(exact, new(big.Int).Mul(big.NewInt(got), big.NewInt(d)))
	switch off.Lsh(off, 1).CmpAbs(big.NewInt(d)) {
	case -1:
		return true
	case 0:
		return got%2 == 0
	}
	return false
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"12.34", "0", "1.", ".1", "-1", "92233720368547758.07", "1e5", "00.00"} {
		f.Add(seed, "GBP")
		f.Add(seed, "JPY")
	}
	f.Fuzz(func(t *testing.T, amount, currency string) {
		m, err := money.Parse(amount, currency)
		if err != nil {
			if problem.Of(err) == nil {
				t.Fatalf("an unnamed refusal: %v", err)
			}
			return
		}
		if m.Negative() {
			t.Fatalf("%q was read as %v", amount, m)
		}
		if back, err := money.Parse(m.Format(), currency); err != nil || back != m {
			t.Fatalf("%q was read as %v, written as %q and read as %v, %v", amount, m, m.Format(), back, err)
		}
	})
}

func TestAnOverflowingTaxIsRefused(t *testing.T) {
	_, err := money.Rate(10_000_000).Exclusive(money.Of(math.MaxInt64, "GBP"))
	if p := problem.Of(err); p == nil || p.Code != money.CodeOutOfRange || !errors.As(err, &p) {
		t.Errorf("error %v, want %s", err, money.CodeOutOfRange)
	}
}
