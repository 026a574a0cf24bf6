// Package money is the one shared word of commerce: an amount in the minor
// units of its currency, exact in every operation, refused rather than rounded
// where a rounding was not asked for.
//
//	Parse ──▶ Money ──▶ Add, Sub, Mul   checked: an overflow is an error
//	            │
//	            ├──▶ Split, Allocate    shares that add up to the whole
//	            └──▶ Rate.Exclusive,    tax, rounded half to even
//	                 Rate.Inclusive
//
// Who gets the rounding cent: shares are rounded down and the cents left over
// go to the largest remainders, the earlier share first; tax is rounded to
// the even neighbour when it lies exactly between two minor units.
package money

import (
	"math"
	"math/bits"
	"strconv"

	"github.com/seed-21071466/souk/kit/problem"
)

// Money is an amount of one currency. The zero value has no currency and adds
// to nothing; Zero makes an amount that does.
type Money struct {
	Minor    int64  // in the currency's minor units: pence, yen, fils
	Currency string // ISO 4217, upper case: "GBP"
}

// The codes of this package's refusals.
const (
	CodeUnknownCurrency  = "unknown_currency"
	CodeBadAmount        = "bad_amount"
	CodeExcessDigits     = "excess_digits"
	CodeOutOfRange       = "amount_out_of_range"
	CodeCurrencyMismatch = "currency_mismatch"
	CodeBadShares        = "bad_shares"
	CodeBadRate          = "bad_rate"
)

// Zero is nothing of that currency.
func Zero(currency string) Money { return Money{Currency: currency} }

// Of is an amount in minor units.
func Of(minor int64, currency string) Money { return Money{Minor: minor, Currency: currency} }

// IsZero says that the amount is nothing, of whatever currency.
func (m Money) IsZero() bool { return m.Minor == 0 }

// Negative says that the amount is below zero.
func (m Money) Negative() bool { return m.Minor < 0 }

// Add is m + n; another currency or an overflow is refused.
func (m Money) Add(n Money) (Money, error) {
	if m.Currency != n.Currency {
		return Money{}, mismatch(m, n)
	}
	sum := m.Minor + n.Minor
	if (sum > m.Minor) != (n.Minor > 0) {
		return Money{}, outOfRange()
	}
	return Money{sum, m.Currency}, nil
}

// Sub is m - n; another currency or an overflow is refused.
func (m Money) Sub(n Money) (Money, error) {
	if m.Currency != n.Currency {
		return Money{}, mismatch(m, n)
	}
	difference := m.Minor - n.Minor
	if (difference < m.Minor) != (n.Minor > 0) {
		return Money{}, outOfRange()
	}
	return Money{difference, m.Currency}, nil
}

// Mul is m taken quantity times; an overflow is refused.
func (m Money) Mul(quantity int64) (Money, error) {
	high, low := bits.Mul64(magnitude(m.Minor), magnitude(quantity))
	minor, ok := signed(low, (m.Minor < 0) != (quantity < 0))
	if high != 0 || !ok {
		return Money{}, outOfRange()
	}
	return Money{minor, m.Currency}, nil
}

// Cmp is -1, 0 or +1 as m is less than, equal to or greater than n; amounts of
// different currencies have no order and are refused.
func (m Money) Cmp(n Money) (int, error) {
	switch {
	case m.Currency != n.Currency:
		return 0, mismatch(m, n)
	case m.Minor < n.Minor:
		return -1, nil
	case m.Minor > n.Minor:
		return 1, nil
	}
	return 0, nil
}

// Sum adds amounts that all have that currency.
func Sum(currency string, amounts ...Money) (Money, error) {
	total, err := Zero(currency), error(nil)
	for _, amount := range amounts {
		if total, err = total.Add(amount); err != nil {
			return Money{}, err
		}
	}
	return total, nil
}

// String is the amount for a log or a test: "12.34 GBP".
func (m Money) String() string { return m.Format() + " " + m.Currency }

// magnitude is |n|, also of the smallest int64, whose negation overflows.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// signed gives a magnitude its sign back and says whether it fits.
func signed(magnitude uint64, negative bool) (int64, bool) {
	if negative {
		return int64(-magnitude), magnitude <= 1<<63
	}
	return int64(magnitude), magnitude <= math.MaxInt64
}

func mismatch(m, n Money) error {
	return problem.New(problem.Unprocessable, CodeCurrencyMismatch,
		"the amounts are of different currencies: "+strconv.Quote(m.Currency)+" and "+strconv.Quote(n.Currency))
}

func outOfRange() error {
	return problem.New(problem.Invalid, CodeOutOfRange, "the amount is too large to be counted")
}
