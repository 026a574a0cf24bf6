package retail

import (
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Amount is an exact amount in millionths of the currency's unit, so that prices of
// fractions of a penny add up exactly.
type Amount int64

const (
	unit      = 1_000_000              // one pound
	decimals  = 6                      // digits behind the point that are read
	priceMax  = 1_000_000_000 * unit   // of one piece
	amountMax = 100_000_000_000 * unit // of one line
)

// ParseAmount reads "2.55", "-0.001" or "12".
func ParseAmount(text string) (Amount, bool) { return parseAmount(text, amountMax) }

func parseAmount[T string | []byte](text T, most Amount) (a Amount, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	behind, digits := -1, 0 // digits behind the point, and in all
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '.' && behind < 0 && digits > 0:
			behind = 0
			continue
		case c < '0' || c > '9' || behind == decimals || a > most:
			return 0, false
		case behind >= 0:
			behind++
		}
		a, digits = 10*a+Amount(c-'0'), digits+1
	}
	if digits == 0 || behind == 0 {
		return 0, false
	}
	for i := max(behind, 0); i < decimals && a <= most; i++ {
		a *= 10
	}
	if a > most {
		return 0, false
	}
	if negative {
		a = -a
	}
	return a, true
}

// fits says that so many pieces at this price come to an amount that can be told.
func fits(pieces int64, price Amount) bool {
	high, low := bits.Mul64(magnitude(pieces), magnitude(int64(price)))
	return high == 0 && low <= amountMax
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}

// Minor is the amount in the currency's minor units; false when it has more digits.
func (a Amount) Minor(digits int) (minor int64, ok bool) {
	step := Amount(unit)
	for range digits {
		step /= 10
	}
	return int64(a / step), a%step == 0
}

// Format writes the amount as money of a currency with so many digits; one that has more
// is written whole.
func (a Amount) Format(digits int) string {
	var b [32]byte
	return string(a.AppendFormat(b[:0], digits))
}

// String writes the amount with two digits behind the point, or as many as it has.
func (a Amount) String() string { return a.Format(2) }

// AppendFormat appends what Format writes.
func (a Amount) AppendFormat(b []byte, digits int) []byte {
	if a < 0 {
		b = append(b, '-')
	}
	n := magnitude(int64(a))
	b = strconv.AppendUint(b, n/unit, 10)
	fraction, step := n%unit, uint64(unit/10)
	for ; digits > 0 || fraction > 0; digits-- {
		if step == unit/10 {
			b = append(b, '.')
		}
		if step == 0 {
			return b
		}
		b = append(b, byte('0'+fraction/step))
		fraction, step = fraction%step, step/10
	}
	return b
}

// Sum adds amounts up without a bound. The zero value is nothing.
type Sum struct{ total big.Int }

// Add adds an amount.
func (s *Sum) Add(a Amount) {
	var one big.Int
	s.total.Add(&s.total, one.SetInt64(int64(a)))
}

// AddSum adds another sum.
func (s *Sum) AddSum(other *Sum) { s.total.Add(&s.total, &other.total) }

// Sub takes another sum off.
func (s *Sum) Sub(other *Sum) { s.total.Sub(&s.total, &other.total) }

// Zero says that nothing is left.
func (s *Sum) Zero() bool { return s.total.Sign() == 0 }

// String writes the sum with two digits behind the point, or as many more as it has.
func (s *Sum) String() string {
	var whole big.Int
	digits := whole.Abs(&s.total).String()
	digits = strings.Repeat("0", max(0, decimals+1-len(digits))) + digits
	front, back := digits[:len(digits)-decimals], strings.TrimRight(digits[len(digits)-decimals:], "0")
	back += strings.Repeat("0", max(0, 2-len(back)))
	if s.total.Sign() < 0 {
		front = "-" + front
	}
	return front + "." + back
}

// MarshalText writes the sum as String does.
func (s *Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Digits is how many digits the currency has behind the point, by ISO 4217.
func Digits(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}
