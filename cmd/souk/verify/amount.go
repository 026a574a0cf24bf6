package verify

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
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

// worth is money to reckon with.
type worth struct {
	currency string
	units    int64 // ten-thousandths of the currency's own unit
}

// UnmarshalJSON reads an amount; one that is absent is nothing.
func (w *worth) UnmarshalJSON(written []byte) error {
	var a amount
	if err := json.Unmarshal(written, &a); err != nil {
		return err
	}
	*w = worth{currency: a.Currency}
	if a == (amount{}) {
		return nil
	}
	whole, fraction, _ := strings.Cut(a.Amount, ".")
	units, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", max(0, digits-len(fraction))), 10, 64)
	if err != nil || len(fraction) > digits {
		return fmt.Errorf("%q is not an amount of %s", a.Amount, a.Currency)
	}
	w.units = units
	return nil
}

// String is the amount for people.
func (w worth) String() string { return text(big.NewInt(w.units), w.currency) }

// of is another amount in the same currency.
func (w worth) of(units int64) worth { return worth{w.currency, units} }

// sums adds amounts up, exactly, by currency.
type sums map[string]*big.Int

func (s sums) add(currency string, units int64) {
	sum := s.of(currency)
	sum.Add(sum, big.NewInt(units))
	s[currency] = sum
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
