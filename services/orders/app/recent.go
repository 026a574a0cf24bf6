package app

import (
	"sync"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/services/orders/order"
)

const (
	recentOrders = 1024   // orders that are remembered at most
	recentLines  = 20_000 // their lines together, which bound the memory
)

// recent remembers how the orders stand that were decided last, so that the events which follow soon need not read
// their streams. It is a shortcut: whoever takes an order from it checks its version against the log, within a
// transaction, before anything is decided.
type recent struct {
	mu    sync.Mutex
	known map[string]known
	ring  []string // in the order in which they were first put
	lines int
}

// known is an order as it stood after a commit, with the making of its first event.
type known struct {
	order  order.Order
	placed eventlog.Meta
}

// put remembers an order as it stands now; an older state never replaces a newer one.
func (r *recent) put(o order.Order, placed eventlog.Meta) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = make(map[string]known, recentOrders)
	}
	before, there := r.known[o.ID]
	if there && before.order.Version >= o.Version {
		return
	}
	r.known[o.ID] = known{o, placed}
	if there {
		return
	}
	r.ring = append(r.ring, o.ID)
	r.lines += len(o.Lines)
	for len(r.ring) > 1 && (len(r.ring) > recentOrders || r.lines > recentLines) {
		oldest := r.ring[0]
		r.ring = r.ring[1:]
		r.lines -= len(r.known[oldest].order.Lines)
		delete(r.known, oldest)
	}
}

// Recent gives an order as this process has left it, when it has a short while ago.
func (a *App) Recent(orderID string) (order.Order, bool) {
	k, ok := a.recent.get(orderID)
	return k.order, ok
}

// get gives an order as it was put last.
func (r *recent) get(orderID string) (known, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.known[orderID]
	return k, ok
}
