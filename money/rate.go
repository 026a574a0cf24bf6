package money

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/seed-21071466/souk/kit/problem"
)

const (
	rateDigits      = 6            // a rate is exact to a millionth, 0.0001 %
	rateOne         = 1_000_000    // the rate 1, 100 %
	rateMax    Rate = 10 * rateOne // 1000 %, above any tax that is levied
)

// Rate is an exact proportion in millionths: 200000 is 0.2, 20 %. It is never
// negative.
type Rate int64

// ParseRate reads "0.2" or "20%", exact to six decimal digits of the
// proportion (four of the percentage) and at most 10, which is 1000 %.
func ParseRate(text string) (Rate, error) {
	number, percent := strings.CutSuffix(text, "%")
	digits := rateDigits
	if percent {
		digits -= 2
	}
	whole, fraction, pointed := strings.Cut(number, ".")
	if len(text) > amountLenMax || !allDigits(whole) || pointed && !allDigits(fraction) || len(fraction) > digits {
		return 0, badRate(text)
	}
	n, err := strconv.ParseInt(whole+fraction+"000000"[:digits-len(fraction)], 10, 64)
	if err != nil || Rate(n) > rateMax {
		return 0, badRate(text)
	}
	return Rate(n), nil
}

// Valid says that the rate is one that ParseRate could have read; a rate from
// a store or a contract is asked before it is used.
func (r Rate) Valid() bool { return r >= 0 && r <= rateMax }

// Exclusive is the tax that comes on top of a net amount, half to even. It
// refuses a rate that is not Valid and a tax that does not fit.
func (r Rate) Exclusive(net Money) (tax Money, err error) {
	if !r.Valid() {
		return Money{}, badRate(r.String())
	}
	return net.ratio(uint64(r), rateOne)
}

// Inclusive divides a gross amount into its net and the tax that it contains,
// gross × rate / (1 + rate), half to even; net + tax = gross. It refuses a rate
// that is not Valid.
func (r Rate) Inclusive(gross Money) (net, tax Money, err error) {
	if !r.Valid() {
		return Money{}, Money{}, badRate(r.String())
	}
	if tax, err = gross.ratio(uint64(r), rateOne+uint64(r)); err != nil {
		return Money{}, Money{}, err
	}
	return Money{gross.Minor - tax.Minor, gross.Currency}, tax, nil
}

// String is the rate as a plain decimal, "0.2"; ParseRate reads it back.
func (r Rate) String() string {
	whole, millionths := magnitude(int64(r))/rateOne, magnitude(int64(r))%rateOne
	sign := ""
	if r < 0 {
		sign = "-"
	}
	if millionths == 0 {
		return sign + strconv.FormatUint(whole, 10)
	}
	fraction := strconv.FormatUint(rateOne+millionths, 10)[1:]
	return sign + strconv.FormatUint(whole, 10) + "." + strings.TrimRight(fraction, "0")
}

// ratio is m × numerator / denominator, half to even, on the magnitude, so that
// a refund's tax mirrors the sale's.
func (m Money) ratio(numerator, denominator uint64) (Money, error) {
	high, low := bits.Mul64(magnitude(m.Minor), numerator)
	if high >= denominator {
		return Money{}, outOfRange()
	}
	quotient, remainder := bits.Div64(high, low, denominator)
	if rest := denominator - remainder; remainder > rest || remainder == rest && quotient&1 == 1 {
		quotient++
	}
	minor, ok := signed(quotient, m.Minor < 0)
	if !ok {
		return Money{}, outOfRange()
	}
	return Money{minor, m.Currency}, nil
}

func badRate(text string) error {
	return problem.New(problem.Invalid, CodeBadRate,
		strconv.Quote(clip(text))+" is not a rate: write 0.2 or 20%, from 0 to 1000%, exact to 0.0001%")
}
