package app

import (
	"sync"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/services/orders/order"
)

// placedMax bounds the orders placed a moment ago whose run has not been taken up.
const placedMax = 1024

// hot is what this process has just written itself and its runs would only read again. It is a
// shortcut: without it everything goes the same way, by the log.
type hot struct {
	mu     sync.Mutex
	placed map[string]placedNow
}

// placedNow is an order at its first version, with what its run needs.
type placedNow struct {
	order order.Order
	meta  eventlog.Meta
	token string
}

// put keeps an order whose placement is durable until its run takes it up.
func (h *hot) put(p order.Placed, token string, meta eventlog.Meta) {
	o, err := order.Fold(p)
	if err != nil {
		return // the log will tell
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.placed == nil || len(h.placed) >= placedMax {
		h.placed = make(map[string]placedNow)
	}
	h.placed[p.ID] = placedNow{order: o, meta: meta, token: token}
}

// take gives an order once.
func (h *hot) take(orderID string) (placedNow, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.placed[orderID]
	delete(h.placed, orderID)
	return p, ok
}
