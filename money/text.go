package money

import (
	"strconv"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
)

// amountLenMax bounds the text of an amount: 19 digits of an int64, leading
// zeros, a sign and a point.
const amountLenMax = 32

// zeros fill an amount up to its currency's digits, of which ISO 4217 has at most 4.
const zeros = "0000"

// Parse reads an amount without a sign, "12.34" or "12", in that currency. It
// refuses an unknown currency, anything but digits and one point between
// digits, more decimal digits than the currency has (even zeros: "1.000 GBP"
// is a question, not an amount), and what does not fit.
func Parse(amount, currency string) (Money, error) {
	exponent, known := Exponent(currency)
	if !known {
		return Money{}, problem.New(problem.Invalid, CodeUnknownCurrency,
			strconv.Quote(clip(currency))+" is not a currency code of ISO 4217, such as GBP")
	}
	minor, err := decimal(amount, exponent)
	if err != nil {
		return Money{}, err
	}
	return Money{minor, currency}, nil
}

// ParseSigned reads an amount as Parse does and allows a leading minus, for
// adjustments and ledgers. "-0.00" is zero.
func ParseSigned(amount, currency string) (Money, error) {
	digits, negative := strings.CutPrefix(amount, "-")
	m, err := Parse(digits, currency)
	if negative {
		m.Minor = -m.Minor
	}
	return m, err
}

// decimal reads "12.34" as 1234 for exponent 2.
func decimal(text string, exponent int) (int64, error) {
	whole, fraction, pointed := strings.Cut(text, ".")
	switch {
	case len(text) > amountLenMax, !allDigits(whole), pointed && !allDigits(fraction):
		return 0, problem.New(problem.Invalid, CodeBadAmount,
			strconv.Quote(clip(text))+" is not an amount: write digits and at most one point, such as 12.34, without a sign")
	case len(fraction) > exponent:
		return 0, problem.Newf(problem.Invalid, CodeExcessDigits,
			"%q has %d decimal digits and the currency has %d", text, len(fraction), exponent)
	}
	digits := whole + fraction + zeros[:exponent-len(fraction)]
	minor, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, outOfRange()
	}
	return minor, nil
}

// Format is the amount as it stands on the wire: "12.34", "-0.05", "100" for
// yen. Parse or ParseSigned read it back to the same amount. An unknown
// currency is written with two digits.
func (m Money) Format() string {
	var buffer [amountLenMax]byte
	return string(m.AppendFormat(buffer[:0]))
}

// AppendFormat appends what Format returns to b.
func (m Money) AppendFormat(b []byte) []byte {
	exponent, _ := Exponent(m.Currency)
	if m.Minor < 0 {
		b = append(b, '-')
	}
	var scratch [20]byte
	digits := strconv.AppendUint(scratch[:0], magnitude(m.Minor), 10)
	point := len(digits) - exponent
	if point <= 0 {
		b = append(b, '0')
	} else {
		b = append(b, digits[:point]...)
		digits = digits[point:]
	}
	if exponent == 0 {
		return b
	}
	b = append(b, '.')
	return append(append(b, zeros[:max(0, exponent-len(digits))]...), digits...)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// clip shortens a client's own text before it is told back.
func clip(s string) string { return s[:min(len(s), amountLenMax)] }
