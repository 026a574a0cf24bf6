package money

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/seed-21071466/souk/kit/problem"
)

// SharesMax bounds how many shares one amount is divided into.
const SharesMax = 10_000

// Split divides m into n shares that differ by at most one minor unit and add
// up to m; the earlier shares are the larger ones.
func (m Money) Split(n int) ([]Money, error) {
	if n < 1 || n > SharesMax {
		return nil, badShares("an amount is split into 1 to 10000 shares")
	}
	weights := make([]int64, n)
	for i := range weights {
		weights[i] = 1
	}
	return m.Allocate(weights)
}

// Allocate divides m in proportion to weights, by largest remainder: each share
// is rounded toward zero, and the minor units left over go one each to the
// shares that lost most by it, the earlier one first among equals. The shares
// add up to m; a weight of zero gets nothing.
func (m Money) Allocate(weights []int64) ([]Money, error) {
	total, err := weigh(weights)
	if err != nil {
		return nil, err
	}
	whole, left := magnitude(m.Minor), magnitude(m.Minor)
	parts, remainders := make([]uint64, len(weights)), make([]uint64, len(weights))
	for i, weight := range weights {
		high, low := bits.Mul64(whole, uint64(weight))
		parts[i], remainders[i] = bits.Div64(high, low, total) // high < total, as weight <= total
		left -= parts[i]
	}
	for _, i := range byRemainder(remainders)[:left] {
		parts[i]++
	}
	shares := make([]Money, len(parts))
	for i, part := range parts {
		minor, _ := signed(part, m.Minor < 0) // a share is no larger than the whole
		shares[i] = Money{minor, m.Currency}
	}
	return shares, nil
}

// weigh adds up the weights and refuses those that have no meaning.
func weigh(weights []int64) (total uint64, err error) {
	if len(weights) > SharesMax {
		return 0, badShares("an amount is divided into at most 10000 shares")
	}
	for _, weight := range weights {
		if weight < 0 {
			return 0, badShares("a weight is not negative")
		}
		if total += uint64(weight); total > 1<<63 {
			return 0, badShares("the weights are too large to be added")
		}
	}
	if total == 0 {
		return 0, badShares("at least one weight is above zero")
	}
	return total, nil
}

// byRemainder is the indexes of remainders, the largest first, stable.
func byRemainder(remainders []uint64) []int {
	order := make([]int, len(remainders))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	return order
}

func badShares(message string) error {
	return problem.New(problem.Invalid, CodeBadShares, message)
}
