package storesql

import (
	"slices"
	"sync"

	"github.com/seed-21071466/souk/services/carts/cart"
)

const (
	recentMax      = 4096 // carts that are kept in memory
	recentLinesMax = 20   // lines of one that is: the few larger ones are read from the store
)

// recent is the carts that were changed last, as they were committed: most reads of a
// cart follow a change of it by the same shopper. Only this process writes the store,
// so what is kept here is what is stored; changes themselves always read the store.
type recent struct {
	mu   sync.Mutex
	by   map[string]cart.Cart
	ring [recentMax]string
	next int
}

// keep remembers a cart once it is durable, in place of the oldest that is remembered.
// Commits are told in their order, so a later one is never overwritten by an earlier.
func (r *recent) keep(c cart.Cart) {
	c.Lines = slices.Clone(c.Lines)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(c.Lines) > recentLinesMax {
		delete(r.by, c.ID)
		return
	}
	if r.by == nil {
		r.by = make(map[string]cart.Cart, recentMax)
	}
	if _, known := r.by[c.ID]; !known {
		delete(r.by, r.ring[r.next])
		r.ring[r.next] = c.ID
		r.next = (r.next + 1) % recentMax
	}
	r.by[c.ID] = c
}

// find gives a cart that its reader may change.
func (r *recent) find(cartID string) (cart.Cart, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.by[cartID]
	c.Lines = slices.Clone(c.Lines)
	return c, ok
}

// forget begins anew, for a store that others write now.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by != nil {
		r.by, r.ring, r.next = nil, [recentMax]string{}, 0
	}
}
