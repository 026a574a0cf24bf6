package importer

// nearest is the candidate that differs least from a name: one that is part of
// the other, or a few letters away; "" when none is.
func nearest(name string, candidates []string) string {
	best, distance := "", max(3, len(name)/2)
	for _, candidate := range candidates {
		if d := edits(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// edits counts the insertions, deletions and substitutions between two names
// (Levenshtein 1966), letters of either case being the same.
func edits(a, b string) int {
	previous, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			substitute := previous[j]
			if a[i]|0x20 != b[j]|0x20 {
				substitute++
			}
			row[j+1] = min(substitute, previous[j+1]+1, row[j]+1)
		}
		previous, row = row, previous
	}
	return previous[len(b)]
}
