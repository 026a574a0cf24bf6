package verify

import (
	"fmt"
	"math/big"
	"strings"
)

// digits is how many decimal digits sums have: as many as the finest currency of ISO 4217.
const digits = 4

// amount is money as it stands on the wire; two amounts are equal when their texts are.
type amount struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"`
}

// String is the amount for people.
func (a amount) String() string { return a.Amount + " " + a.Currency }

// sums adds amounts up, exactly, by currency.
type sums map[string]*big.Int

func (s sums) add(a amount) error {
	whole, fraction, _ := strings.Cut(a.Amount, ".")
	value, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", max(0, digits-len(fraction))), 10)
	if !ok || len(fraction) > digits {
		return fmt.Errorf("%q is not an amount of %s", a.Amount, a.Currency)
	}
	sum := s.of(a.Currency)
	sum.Add(sum, value)
	s[a.Currency] = sum
	return nil
}

// of is the sum in a currency, a fresh zero when nothing was added.
func (s sums) of(currency string) *big.Int {
	if sum := s[currency]; sum != nil {
		return sum
	}
	return new(big.Int)
}

// text writes a sum with at least two decimal digits.
func text(sum *big.Int, currency string) string {
	written := fmt.Sprintf("%0*d", digits+1, new(big.Int).Abs(sum))
	point := len(written) - digits
	written = written[:point] + "." + strings.TrimSuffix(strings.TrimSuffix(written[point:], "0"), "0")
	if sum.Sign() < 0 {
		written = "-" + written
	}
	return written + " " + currency
}
