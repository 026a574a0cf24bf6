package verify

import (
	"cmp"
	"slices"
)

// tally adds pieces up by SKU.
type tally map[string]int

func (t tally) add(pieces []piece, times int) {
	for _, p := range pieces {
		t[p.sku] += times * p.n
	}
}

// pieces lists what is left, by SKU.
func (t tally) pieces() (list []piece) {
	for sku, n := range t {
		if n != 0 {
			list = append(list, piece{sku, n})
		}
	}
	slices.SortFunc(list, func(x, y piece) int { return cmp.Compare(x.sku, y.sku) })
	return list
}
