package storesql

import (
	"fmt"
	"testing"

	"github.com/seed-21071466/souk/services/carts/cart"
)

func TestMemoryOfRecentCartsIsBounded(t *testing.T) {
	var r recent
	small, large := cart.Cart{ID: "crt_0", Lines: make([]cart.Line, recentLinesMax)}, cart.Cart{ID: "crt_0", Lines: make([]cart.Line, recentLinesMax+1)}
	r.keep(small)
	if _, ok := r.find("crt_0"); !ok {
		t.Error("a cart that was just changed is not kept")
	}
	r.keep(large)
	if c, ok := r.find("crt_0"); ok {
		t.Errorf("a cart that has grown is still kept with its %d lines of before", len(c.Lines))
	}
	for round := range 3 {
		for i := range recentMax + 10 {
			r.keep(cart.Cart{ID: fmt.Sprintf("crt_%d", i)})
			r.keep(large)
			r.keep(small)
		}
		if len(r.by) > recentMax {
			t.Fatalf("round %d: %d carts are kept, want at most %d", round, len(r.by), recentMax)
		}
	}
}
