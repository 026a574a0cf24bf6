package app

import (
	"sync"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/services/orders/order"
)

const (
	placedMax  = 1024 // orders placed a moment ago whose run has not been taken up
	settledMax = 4096 // payments of confirmed orders whose event is still to come
)

// hot is what this process has just learnt itself and would only read again. It is a
// shortcut: without it everything goes the same way, by the log.
type hot struct {
	mu      sync.Mutex
	placed  map[string]placedNow
	settled map[string]string // confirmed order to the intent that paid it
	ring    [settledMax]string
	next    int
}

// placedNow is an order at its first version, with what its run needs.
type placedNow struct {
	order order.Order
	meta  eventlog.Meta
	token string
}

// put keeps an order whose placement is durable until its run takes it up.
func (h *hot) put(p order.Placed, c Command) {
	o, err := order.Fold(p)
	if err != nil {
		return // the log will tell
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.placed == nil || len(h.placed) >= placedMax {
		h.placed = make(map[string]placedNow)
	}
	h.placed[p.ID] = placedNow{order: o, meta: c.Meta, token: c.Token}
}

// take gives an order once.
func (h *hot) take(orderID string) (placedNow, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.placed[orderID]
	delete(h.placed, orderID)
	return p, ok
}

// settle remembers what paid a confirmed order, in place of the oldest that is remembered.
func (h *hot) settle(o order.Order) {
	if o.Status != order.Confirmed {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.settled == nil {
		h.settled = make(map[string]string, settledMax)
	}
	delete(h.settled, h.ring[h.next])
	h.ring[h.next], h.settled[o.ID] = o.ID, o.IntentID
	h.next = (h.next + 1) % settledMax
}

// knows tells a fact that is part of a confirmation which this process made.
func (h *hot) knows(orderID string, fact order.Event) bool {
	authorized, ok := fact.(order.Authorized)
	if !ok {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	intent, ok := h.settled[orderID]
	return ok && intent == authorized.IntentID
}
