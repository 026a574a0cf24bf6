package crash

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// story is something that a client does with a shop, which dies on the way; the client then asks again.
type story struct {
	name string
	// prepare is what comes before; the shop does not die in it. It gives the requests of the client, one after the other.
	prepare func(t *testing.T, s *shop.Shop) []shop.Request
	// wants are their answers' statuses, once each has been heard to the end.
	wants []int
	// settled waits until what follows by events has happened.
	settled func(t *testing.T, s *shop.Shop, orderID string)
	// pieces and pairs say which part of the sweep the gate samples: one in so many points, and so many pairs.
	step, pairs int
}

// stories are the journeys that are swept.
var stories = []story{
	{
		name: "checkout", wants: []int{201}, step: 3, pairs: 6,
		prepare: func(t *testing.T, s *shop.Shop) []shop.Request {
			s.Goods(t, 5, "A", "B")
			return []shop.Request{s.ReadyCart(t, 2, "A", "B").Checkout("k", "tok_ok")}
		},
		settled: func(t *testing.T, s *shop.Shop, _ string) { s.Stock(t, "A", "allocated", 2) },
	},
	{
		name: "dispatch and capture", wants: []int{200}, step: 3, pairs: 3,
		prepare: func(t *testing.T, s *shop.Shop) []shop.Request {
			return []shop.Request{s.Dispatch(confirmed(t, s), "d")}
		},
		settled: func(t *testing.T, s *shop.Shop, id string) {
			s.Becomes(t, id, "payment_state", "captured", "fulfilment_state", "dispatched", "captured.amount", "14.15")
			s.Stock(t, "A", "on_hand", 3)
		},
	},
	{
		name: "cancel", wants: []int{200}, step: 3, pairs: 3,
		prepare: func(t *testing.T, s *shop.Shop) []shop.Request { return []shop.Request{s.Cancel(confirmed(t, s))} },
		settled: func(t *testing.T, s *shop.Shop, id string) {
			s.Becomes(t, id, "state", "canceled", "payment_state", "voided")
			s.Stock(t, "A", "available", 5)
		},
	},
	{
		name: "capture, then cancel", wants: []int{202, 200}, step: 5, pairs: 2,
		prepare: func(t *testing.T, s *shop.Shop) []shop.Request {
			id := confirmed(t, s)
			return []shop.Request{s.Staff("POST", "/api/orders/"+id+"/capture", "c", map[string]any{}), s.Cancel(id)}
		},
		settled: func(t *testing.T, s *shop.Shop, id string) {
			shop.Eventually(t, "the money is back", func() bool {
				o := s.Order(t, id)
				return o.Text("state") == "canceled" && o.Text("captured.amount") == o.Text("refunded.amount")
			})
			s.Stock(t, "A", "available", 5)
		},
	},
	{
		name: "return and refund", wants: []int{201, 202}, step: 3, pairs: 3,
		prepare: func(t *testing.T, s *shop.Shop) []shop.Request {
			id := confirmed(t, s)
			s.Call(t, 200, s.Dispatch(id, "d"))
			s.Becomes(t, id, "payment_state", "captured")
			s.Stock(t, "A", "on_hand", 3)
			return []shop.Request{s.Return(id, "r", 1, 1), s.Refund(id, "f", "1.00")}
		},
		settled: func(t *testing.T, s *shop.Shop, id string) {
			s.Becomes(t, id, "refunded.amount", "6.10", "fulfilment_state", "partly_returned")
			s.Stock(t, "A", "on_hand", 4)
		},
	},
}

// confirmed is an order of two pieces of each of two SKUs, whose events have been heard.
func confirmed(t *testing.T, s *shop.Shop) string {
	t.Helper()
	s.Goods(t, 5, "A", "B")
	id := s.Sold(t, "tok_ok", 2, "A", "B")
	s.Stock(t, "A", "allocated", 2)
	s.Call(t, 200, s.Staff("GET", "/api/orders", "", nil)) // its projections have seen it
	return id
}

// told makes the requests of a story until one is not answered; it gives the answers that came.
func told(s *shop.Shop, requests []shop.Request) (answers []shop.Answer) {
	for _, r := range requests {
		a, err := s.Try(r)
		if err != nil {
			return answers
		}
		answers = append(answers, a)
	}
	return answers
}

// heard makes all requests, which must be answered now, and as they were the first time.
func (y *story) heard(t *testing.T, s *shop.Shop, requests []shop.Request, before []shop.Answer) {
	t.Helper()
	for i, r := range requests {
		a := s.Call(t, y.wants[i], r)
		if i < len(before) && r.Key != "" && !bytes.Equal(before[i].Body, a.Body) {
			t.Errorf("%s: the retry got %s, the first answer was %s", r.Path, a, before[i])
		}
	}
}

// order is the only order of the shop.
func order(t *testing.T, s *shop.Shop) string {
	t.Helper()
	list := s.Call(t, 200, s.Staff("GET", "/api/orders", "", nil))
	orders := list.JSON()["orders"].([]any)
	if len(orders) != 1 {
		t.Fatalf("the shop has %d orders: %s", len(orders), list)
	}
	return fmt.Sprint(orders[0].(map[string]any)["id"])
}
