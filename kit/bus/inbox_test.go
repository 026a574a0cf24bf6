package bus

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTheInboxComesToTheSameMarkInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation([]int64{1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, "order")
		in, seen := inbox{}, map[int64]bool{}
		for _, position := range order {
			before := in.clone()
			in.settle(position, true)
			seen[position] = true
			low := int64(0)
			for seen[low+1] {
				low++
			}
			if in.low != low || len(in.ahead) != len(seen)-int(low) {
				t.Fatalf("after %v the inbox is %+v, want low %d", order, in, low)
			}
			for p := int64(1); p <= 8; p++ {
				if in.settled(p) != seen[p] || p != position && before.settled(p) != seen[p] {
					t.Fatalf("settled(%d) is %v", p, in.settled(p))
				}
			}
		}
	})
}
