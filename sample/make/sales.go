package main

import (
	"cmp"
	"maps"
	"slices"
)

// sale is what was sold of one code.
type sale struct {
	code         string
	pieces       int
	descriptions map[string]int // and on how many lines
	prices       map[int]int    // in pence, and on how many lines
}

type sales map[string]*sale

func (all sales) add(code, description string, pence, pieces int) {
	s := all[code]
	if s == nil {
		s = &sale{code: code, descriptions: make(map[string]int), prices: make(map[int]int)}
		all[code] = s
	}
	s.pieces += pieces
	s.prices[pence]++
	if titled(description) {
		s.descriptions[description]++
	}
}

// best are the n codes that sold most pieces, in the order of codes.
func (all sales) best(n int) []*sale {
	named := slices.DeleteFunc(slices.Collect(maps.Values(all)), func(s *sale) bool { return len(s.descriptions) == 0 })
	slices.SortFunc(named, func(a, b *sale) int {
		return cmp.Or(cmp.Compare(b.pieces, a.pieces), cmp.Compare(a.code, b.code))
	})
	named = named[:min(n, len(named))]
	slices.SortFunc(named, func(a, b *sale) int { return cmp.Compare(a.code, b.code) })
	return named
}

// mode is what was counted most often; of equals the first in order.
func mode[K cmp.Ordered](counts map[K]int) (most K) {
	for i, key := range slices.Sorted(maps.Keys(counts)) {
		if i == 0 || counts[key] > counts[most] {
			most = key
		}
	}
	return most
}
