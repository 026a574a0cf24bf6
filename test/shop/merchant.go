package shop

import (
	"fmt"
	"testing"
)

// Staff is a request with the staff's key.
func (s *Shop) Staff(method, path, key string, body any) Request {
	return Request{Method: method, Path: path, Token: s.Key, Key: key, Body: body}
}

// Order reads an order as staff sees it.
func (s *Shop) Order(t testing.TB, orderID string) Answer {
	t.Helper()
	return s.Call(t, 200, s.Staff("GET", "/api/orders/"+orderID, "", nil))
}

// Sold is the id of a confirmed order of so many pieces of each SKU, paid with a token of the sandbox.
func (s *Shop) Sold(t testing.TB, payment string, quantity int, skus ...string) string {
	t.Helper()
	c := s.ReadyCart(t, quantity, skus...)
	return s.Call(t, 201, c.Checkout("k-"+c.ID, payment)).Text("id")
}

// Dispatch is the request that hands a parcel of an order over: everything that is left, or pieces by line number.
func (s *Shop) Dispatch(orderID, key string, pieces ...int) Request {
	return s.Staff("POST", "/api/shipments/"+orderID+"/dispatch", key, map[string]any{
		"carrier": "Royal Mail", "tracking_number": "RM-" + key, "lines": lines(pieces, nil),
	})
}

// Cancel is the request that calls an order off.
func (s *Shop) Cancel(orderID string) Request {
	return s.Staff("POST", "/api/orders/"+orderID+"/cancel", "", map[string]any{"reason": "changed my mind"})
}

// Return is the request that takes pieces in, by line number; everything when none are named.
func (s *Shop) Return(orderID, key string, pieces ...int) Request {
	return s.Staff("POST", "/api/orders/"+orderID+"/returns", key, map[string]any{"received": true, "reason": "too small", "lines": lines(pieces, nil)})
}

// WriteOff is Return for pieces that cannot be sold again.
func (s *Shop) WriteOff(orderID, key string, pieces ...int) Request {
	return s.Staff("POST", "/api/orders/"+orderID+"/returns", key, map[string]any{
		"received": true, "reason": "broken", "lines": lines(pieces, map[string]any{"write_off": true}),
	})
}

// Refund is the request that gives money back without a return.
func (s *Shop) Refund(orderID, key, amount string) Request {
	return s.Staff("POST", "/api/orders/"+orderID+"/refunds", key, map[string]any{"amount": GBP(amount), "reason": "goodwill"})
}

// lines are pieces by line number; 0 pieces leave a line out.
func lines(pieces []int, with map[string]any) []any {
	out := []any{}
	for i, n := range pieces {
		if n == 0 {
			continue
		}
		line := map[string]any{"line": i + 1, "quantity": n}
		for name, value := range with {
			line[name] = value
		}
		out = append(out, line)
	}
	return out
}

// Becomes waits until an order reads so: path and value, in turn.
func (s *Shop) Becomes(t testing.TB, orderID string, pathsAndValues ...string) Answer {
	t.Helper()
	var last Answer
	Eventually(t, fmt.Sprintf("order %s has %v", orderID, pathsAndValues), func() bool {
		last = s.Order(t, orderID)
		for i := 0; i < len(pathsAndValues); i += 2 {
			if last.Text(pathsAndValues[i]) != pathsAndValues[i+1] {
				return false
			}
		}
		return true
	})
	return last
}

// Customer makes a customer with an id of its own.
func (s *Shop) Customer(t testing.TB, id, email string) {
	t.Helper()
	s.Call(t, 200, s.Staff("PUT", "/api/users/"+id, "", map[string]any{
		"name": "John Doe", "email": email,
		"address": map[string]any{"name": "John Doe", "lines": []string{"1 High Street"}, "city": "London", "postal_code": "N1 9GU", "country": "GB"},
	}))
}

// Desk is the request of the sales desk for one line at its own price.
func (s *Shop) Desk(key, customer, sku string, quantity int, price string) Request {
	return s.Staff("POST", "/api/desk/orders", key, map[string]any{
		"subject_id": customer, "price_reason": "as on the invoice", "reference": key, "payment": map[string]any{"token": "tok_ok"},
		"lines": []any{map[string]any{"sku": sku, "quantity": quantity, "unit_price": GBP(price)}},
	})
}
