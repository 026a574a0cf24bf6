package config

import "fmt"

// unknown refuses a name that nobody declared, and offers the one that was probably meant.
func unknown(where, name string, names []string) error {
	if near := nearest(name, names); near != "" {
		return fmt.Errorf("%s is not a setting; did you mean %s?", where, near)
	}
	return fmt.Errorf("%s is not a setting; `souk config` lists those that are", where)
}

// nearest is the known name with the smallest edit distance, when that is at most a third of the name.
func nearest(name string, names []string) string {
	best, distance := "", len(name)/3+1
	for _, candidate := range names {
		if d := edits(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

// edits counts the insertions, deletions and substitutions between two names (Levenshtein 1966, two rows).
func edits(a, b string) int {
	previous, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			substitute := previous[j]
			if a[i] != b[j] {
				substitute++
			}
			row[j+1] = min(substitute, previous[j+1]+1, row[j]+1)
		}
		previous, row = row, previous
	}
	return previous[len(b)]
}
