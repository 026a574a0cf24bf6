package crash

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// story is something that a client does with a shop, which dies on the way; the client then asks again.
type story struct {
	name string
	// prepare is what comes before; the shop does not die in it. It gives the requests of the client, one after the other,
	// about the SKUs <prefix>A and <prefix>B.
	prepare func(t *testing.T, s *shop.Shop, prefix string) []shop.Request
	// wants are their answers' statuses, once each has been heard to the end.
	wants []int
	// settled waits until what follows by events has happened.
	settled func(t *testing.T, s *shop.Shop, prefix, orderID string)
	// pieces and pairs say which part of the sweep the gate samples: one in so many points, and so many pairs.
	step, pairs int
}

// stories are the journeys that are swept.
var stories = []story{
	{
		name: "checkout", wants: []int{201}, step: 6, pairs: 3,
		prepare: func(t *testing.T, s *shop.Shop, prefix string) []shop.Request {
			s.Goods(t, 5, prefix+"A", prefix+"B")
			return []shop.Request{s.ReadyCart(t, 2, prefix+"A", prefix+"B").Checkout("k"+prefix, "tok_ok")}
		},
		settled: func(t *testing.T, s *shop.Shop, prefix, _ string) { s.Stock(t, prefix+"A", "allocated", 2) },
	},
	{
		name: "dispatch and capture", wants: []int{200}, step: 6, pairs: 1,
		prepare: func(t *testing.T, s *shop.Shop, prefix string) []shop.Request {
			return []shop.Request{s.Dispatch(confirmed(t, s, prefix), "d"+prefix)}
		},
		settled: func(t *testing.T, s *shop.Shop, prefix, id string) {
			s.Becomes(t, id, "payment_state", "captured", "fulfilment_state", "dispatched", "captured.amount", "14.15")
			s.Stock(t, prefix+"A", "on_hand", 3)
		},
	},
	{
		name: "cancel", wants: []int{200}, step: 6, pairs: 1,
		prepare: func(t *testing.T, s *shop.Shop, prefix string) []shop.Request {
			return []shop.Request{s.Cancel(confirmed(t, s, prefix))}
		},
		settled: func(t *testing.T, s *shop.Shop, prefix, id string) {
			s.Becomes(t, id, "state", "canceled", "payment_state", "voided")
			s.Stock(t, prefix+"A", "available", 5)
		},
	},
	{
		name: "capture, then cancel", wants: []int{202, 200}, step: 8, pairs: 1,
		prepare: func(t *testing.T, s *shop.Shop, prefix string) []shop.Request {
			id := confirmed(t, s, prefix)
			return []shop.Request{s.Staff("POST", "/api/orders/"+id+"/capture", "c"+prefix, map[string]any{}), s.Cancel(id)}
		},
		settled: func(t *testing.T, s *shop.Shop, prefix, id string) {
			shop.Eventually(t, "the money is back", func() bool {
				o := s.Order(t, id)
				return o.Text("state") == "canceled" && o.Text("captured.amount") == o.Text("refunded.amount")
			})
			s.Stock(t, prefix+"A", "available", 5)
		},
	},
	{
		name: "return and refund", wants: []int{201, 202}, step: 6, pairs: 1,
		prepare: func(t *testing.T, s *shop.Shop, prefix string) []shop.Request {
			id := confirmed(t, s, prefix)
			s.Call(t, 200, s.Dispatch(id, "d"+prefix))
			s.Becomes(t, id, "payment_state", "captured")
			s.Stock(t, prefix+"A", "on_hand", 3)
			return []shop.Request{s.Return(id, "r"+prefix, 1, 1), s.Refund(id, "f"+prefix, "1.00")}
		},
		settled: func(t *testing.T, s *shop.Shop, prefix, id string) {
			s.Becomes(t, id, "refunded.amount", "6.10", "fulfilment_state", "partly_returned")
			s.Stock(t, prefix+"A", "on_hand", 4)
		},
	},
}

// confirmed is an order of two pieces of each of two SKUs, whose events have been heard.
func confirmed(t *testing.T, s *shop.Shop, prefix string) string {
	t.Helper()
	s.Goods(t, 5, prefix+"A", prefix+"B")
	id := s.Sold(t, "tok_ok", 2, prefix+"A", prefix+"B")
	s.Stock(t, prefix+"A", "allocated", 2)
	s.Call(t, 200, s.Staff("GET", "/api/orders", "", nil)) // its projections have seen it
	shop.Eventually(t, "there is a shipment", func() bool {
		a, err := s.Try(s.Staff("GET", "/api/shipments/"+id, "", nil))
		return err == nil && a.Status == 200
	})
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

// order is the only order of a SKU, among the newest hundred.
func order(t *testing.T, s *shop.Shop, sku string) string {
	t.Helper()
	list := s.Call(t, 200, s.Staff("GET", "/api/order-lines?page_size=100", "", nil))
	var answer struct {
		Lines []struct {
			OrderID string `json:"order_id"`
			Line    struct{ SKU string }
		}
	}
	if err := json.Unmarshal(list.Body, &answer); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, l := range answer.Lines {
		if l.Line.SKU == sku {
			found = append(found, l.OrderID)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s is on %d lines of orders: %s", sku, len(found), list)
	}
	return found[0]
}
