package attack

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// raced makes calls at the same time and counts their answers by status; an answer of 500 and above fails the test.
func raced(t *testing.T, s *shop.Shop, calls ...shop.Request) map[int]int {
	t.Helper()
	var mu sync.Mutex
	counts := map[int]int{}
	together(len(calls), func(i int) {
		a, err := s.Try(calls[i])
		if err != nil || a.Status >= 500 {
			t.Errorf("%s %s answered %s, %v", calls[i].Method, calls[i].Path, a, err)
		}
		mu.Lock()
		defer mu.Unlock()
		counts[a.Status]++
	})
	return counts
}

// settled waits until nothing of an order is under way, and reads it.
func settled(t *testing.T, s *shop.Shop, orderID string) shop.Answer {
	t.Helper()
	var o shop.Answer
	shop.Eventually(t, "order "+orderID+" is settled", func() bool {
		if o = s.Order(t, orderID); o.Text("state") == "canceling" {
			return false
		}
		for _, list := range []string{"captures", "refunds"} {
			for _, m := range o.JSON()[list].([]any) {
				if st := m.(map[string]any)["state"]; st == "pending" || st == "failed" {
					return false
				}
			}
		}
		run, err := s.Try(s.Staff("GET", "/api/runs/"+orderID+".aftersale", "", nil))
		return err == nil && (run.Status == 404 || run.Text("state") == "done")
	})
	return o
}

// Cancel against dispatch: shipping alone decides, and both sides are told the same. Nothing is sent that was canceled,
// nothing is paid for that was not sent.
func TestCancelAgainstDispatch(t *testing.T) {
	s := open(t)
	s.Goods(t, 1000, "A", "B")
	var sent, kept atomic.Int64
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			id := s.Sold(t, "tok_ok", 2, "A", "B")
			dispatch := s.Dispatch(id, fmt.Sprint("d", i))
			if i%3 == 0 {
				dispatch = s.Dispatch(id, fmt.Sprint("d", i), 1, 2) // a part: the rest may still be canceled
			}
			raced(t, s, s.Cancel(id), dispatch)
			shipment := s.Call(t, 200, s.Staff("GET", "/api/shipments/"+id, "", nil))
			left := len(shipment.JSON()["parcels"].([]any)) > 0
			if left {
				shop.Eventually(t, "what has left of order "+id+" is paid for", func() bool {
					return s.Order(t, id).Text("captured.amount") != "0.00"
				})
			}
			o := settled(t, s, id)
			switch {
			case !left && o.Text("state") != "canceled":
				t.Errorf("order %s has not left and is %s", id, o.Text("state"))
			case !left && o.Text("captured.amount") != o.Text("refunded.amount"):
				t.Errorf("order %s was canceled and keeps money: %s", id, o)
			}
			if left {
				sent.Add(1)
			} else {
				kept.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("%d orders had something leave, %d were canceled whole", sent.Load(), kept.Load())
	s.Verify(t)
}

// Capture against cancel: both are decided on the order's stream. Whoever wins, a canceled order keeps no money.
func TestCaptureAgainstCancel(t *testing.T) {
	s := open(t)
	s.Goods(t, 1000, "A")
	var all sync.WaitGroup
	for i, token := range []string{"tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_capture_dies", "tok_capture_dies", "tok_capture_declined_once", "tok_dup_webhook"} {
		all.Go(func() {
			id := s.Sold(t, token, 1, "A")
			raced(t, s,
				s.Staff("POST", "/api/orders/"+id+"/capture", fmt.Sprint("c", i), map[string]any{}),
				s.Cancel(id),
			)
			o := settled(t, s, id)
			if o.Text("state") != "canceled" {
				t.Errorf("order %s, paid by %s, is %s", id, token, o.Text("state"))
			}
			shop.Eventually(t, "its money is given back", func() bool {
				o := s.Order(t, id)
				return o.Text("captured.amount") == o.Text("refunded.amount")
			})
		})
	}
	all.Wait()
	s.Stock(t, "A", "available", 1000)
	s.Verify(t)
}

// Return against refund: what may be given back is given back once, whatever asks for it.
func TestReturnAgainstRefund(t *testing.T) {
	s := open(t)
	s.Goods(t, 1000, "A")
	for i := range 6 {
		id := s.Sold(t, "tok_ok", 4, "A")
		s.Call(t, 200, s.Dispatch(id, fmt.Sprint("d", i)))
		s.Becomes(t, id, "payment_state", "captured")
		calls := []shop.Request{}
		for k := range 8 {
			calls = append(calls, s.Return(id, fmt.Sprint("r", i, "-", k), 1), s.Refund(id, fmt.Sprint("f", i, "-", k), "3.00"))
		}
		raced(t, s, calls...)
		o := settled(t, s, id)
		line := o.JSON()["lines"].([]any)[0].(map[string]any)
		if n := line["returned"].(float64); n > 4 {
			t.Errorf("%v pieces of 4 came back", n)
		}
		taken, back := minor(t, o.Text("captured.amount")), minor(t, o.Text("refunded.amount"))
		if back > taken {
			t.Errorf("%d was given back of %d", back, taken)
		}
		if taken-back >= 300 {
			t.Errorf("%d of %d was given back, and eight more of 300 were asked for", back, taken)
		}
	}
	s.Verify(t)
}

// A refund is asked for twenty times under one key, at a provider whose answers get lost: it is made once.
func TestRefundRetry(t *testing.T) {
	s := open(t)
	s.Goods(t, 1000, "A")
	for i, token := range []string{"tok_ok", "tok_refund_dies", "tok_refund_declined_once"} {
		id := s.Sold(t, token, 2, "A")
		s.Call(t, 200, s.Dispatch(id, fmt.Sprint("d", i)))
		s.Becomes(t, id, "payment_state", "captured")
		calls := make([]shop.Request, 20)
		for k := range calls {
			calls[k] = s.Refund(id, fmt.Sprint("f", i), "2.00")
		}
		if counts := raced(t, s, calls...); counts[202] != 20 {
			t.Errorf("%s: twenty times the same refund answered %v", token, counts)
		}
		o := settled(t, s, id)
		if o.Text("refunded.amount") != "2.00" || len(o.JSON()["refunds"].([]any)) != 1 {
			t.Errorf("%s: the order gave back %s", token, o)
		}
	}
	s.Verify(t)
}

// One wallet is drawn on from all sides: no more is spent than there was.
func TestOneWalletFromAllSides(t *testing.T) {
	s := open(t)
	s.Goods(t, 1000, "A")
	s.Customer(t, "17850", "")
	s.Call(t, 200, s.Staff("POST", "/api/wallets/17850/deposits", "d", map[string]any{"amount": shop.GBP("10.00")}))
	calls := []shop.Request{}
	for k := range 10 {
		order := s.Desk(fmt.Sprint("o", k), "17850", "A", 1, "3.00")
		order.Body.(map[string]any)["payment"] = map[string]any{"credit": shop.GBP("3.00")}
		calls = append(calls, order, s.Staff("POST", "/api/wallets/17850/withdrawals", fmt.Sprint("w", k), map[string]any{"amount": shop.GBP("3.00")}))
	}
	counts := raced(t, s, calls...)
	if counts[200]+counts[201] != 3 {
		t.Errorf("of 10.00, 3.00 was spent %d times: %v", counts[200]+counts[201], counts)
	}
	shop.Eventually(t, "1.00 is left", func() bool {
		return s.Call(t, 200, s.Staff("GET", "/api/wallets/17850", "", nil)).Text("balance.amount") == "1.00"
	})
	s.Verify(t)
}

// minor is an amount in pence.
func minor(t *testing.T, amount string) int {
	t.Helper()
	var pounds, pence int
	if _, err := fmt.Sscanf(amount, "%d.%d", &pounds, &pence); err != nil {
		t.Fatalf("no amount: %q", amount)
	}
	return pounds*100 + pence
}
