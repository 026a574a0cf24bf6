// Package attack races against the shop in the ways that broke others, through the
// public API, and then checks the books.
package attack

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

// placement is that of all attacks, but in TestInSplit.
var placement = shop.Chosen()

// open serves a shop without a rate limit: the attackers share one address.
func open(t *testing.T, set ...string) *shop.Shop {
	t.Helper()
	args := []string{"--set", "gateway.rate_limit=false"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return shop.Start(t, shop.Options{Placement: placement, Args: args})
}

// Some of the attacks again on a process a room; SOUK_TEST_PLACEMENT=split has all of them there.
func TestInSplit(t *testing.T) {
	if placement == shop.Split {
		t.Skip("all attacks are made there anyway")
	}
	placement = shop.Split
	defer func() { placement = shop.Chosen() }()
	t.Run("a hundred buyers for ten pieces", TestAHundredBuyersForTenPieces)
	t.Run("cancel against dispatch", TestCancelAgainstDispatch)
}

// together calls fn so often at the same moment.
func together(n int, fn func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() { ready.Done(); <-start; fn(i) })
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// answers counts what the shop said, and fails the test for what it should never say.
type answers struct {
	mu    sync.Mutex
	said  map[string]int
	wrong []string
}

func (a *answers) add(got shop.Answer, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said == nil {
		a.said = map[string]int{}
	}
	if err != nil || got.Status >= 500 {
		a.wrong = append(a.wrong, fmt.Sprint(got, err))
		return
	}
	a.said[fmt.Sprintf("%d %s", got.Status, got.Text("code"))]++
}

func (a *answers) must(t *testing.T, want map[string]int) {
	t.Helper()
	if len(a.wrong) > 0 {
		t.Errorf("%d calls failed, the first: %s", len(a.wrong), a.wrong[0])
	}
	if fmt.Sprint(a.said) != fmt.Sprint(want) {
		t.Errorf("the answers are %v, want %v", a.said, want)
	}
}

func TestAHundredBuyersForTenPieces(t *testing.T) {
	s := open(t)
	s.Goods(t, 10, "HOT")
	carts := make([]shop.Cart, 100)
	for i := range carts {
		carts[i] = s.ReadyCart(t, 1, "HOT")
	}
	var got answers
	began := time.Now()
	together(len(carts), func(i int) {
		a, err := s.Try(carts[i].Checkout("k-"+carts[i].ID, "tok_ok"))
		if a.Status == 409 {
			if line, ok := a.JSON()["violations"].([]any); !ok || len(line) != 1 || line[0].(map[string]any)["field"] != "HOT" {
				t.Errorf("a refusal does not name the line: %s", a)
			}
		}
		got.add(a, err)
	})
	t.Logf("100 buyers were answered in %v", time.Since(began))
	got.must(t, map[string]int{"201 ": 10, "409 sold_out": 90})
	s.Stock(t, "HOT", "allocated", 10)
	if n := s.StockOf(t, "HOT", "available"); n != 0 {
		t.Errorf("%d are available", n)
	}
	s.Verify(t)
}

func TestOneKeySentTwentyTimesIsOneOrderAndOneAnswer(t *testing.T) {
	s := open(t)
	s.Goods(t, 100, "A")
	for range 10 {
		c := s.ReadyCart(t, 1, "A")
		var mu sync.Mutex
		bodies := map[string]int{}
		together(20, func(int) {
			a, err := s.Try(c.Checkout("same", "tok_ok"))
			if err != nil || a.Status != 201 {
				t.Errorf("a repeated checkout answered %s, %v", a, err)
			}
			mu.Lock()
			defer mu.Unlock()
			bodies[string(a.Body)]++
		})
		if len(bodies) != 1 {
			t.Fatalf("20 calls with one key got %d different answers: %v", len(bodies), bodies)
		}
	}
	s.Stock(t, "A", "allocated", 10)
	s.Verify(t)
}

func TestAnotherBodyUnderTheKeyIsRefused(t *testing.T) {
	s := open(t)
	s.Goods(t, 5, "A")
	c := s.ReadyCart(t, 1, "A")
	s.Call(t, 201, c.Checkout("k", "tok_ok"))
	if a := s.Call(t, 422, c.Checkout("k", "tok_declined")); a.Text("code") != "idempotency_key_reused" {
		t.Errorf("another body under the key answered %s", a)
	}
}

func TestOneCartOrderedUnderManyKeysIsOneOrder(t *testing.T) {
	s := open(t)
	s.Goods(t, 100, "A")
	for range 10 {
		c := s.ReadyCart(t, 1, "A")
		var got answers
		together(10, func(i int) { got.add(s.Try(c.Checkout(fmt.Sprint("key-", i), "tok_ok"))) })
		got.must(t, map[string]int{"201 ": 1, "409 cart_already_ordered": 9})
	}
	s.Stock(t, "A", "allocated", 10)
	s.Verify(t)
}

func TestCheckoutAgainstCartChange(t *testing.T) {
	s := open(t)
	s.Goods(t, 10_000, "A", "B")
	for range 20 {
		c := s.ReadyCart(t, 2, "A")
		var order shop.Answer
		together(4, func(i int) {
			var err error
			switch i {
			case 0:
				order, err = s.Try(c.Checkout("k", "tok_ok"))
			case 1:
				_, err = s.Try(shop.Request{Method: "PUT", Path: "/api/carts/" + c.ID + "/lines/A", Token: c.Token, Body: map[string]any{"quantity": 7}})
			case 2:
				_, err = s.Try(shop.Request{Method: "PUT", Path: "/api/carts/" + c.ID + "/lines/B", Token: c.Token, Body: map[string]any{"quantity": 1}})
			case 3:
				_, err = s.Try(shop.Request{Method: "DELETE", Path: "/api/carts/" + c.ID + "/lines/A", Token: c.Token})
			}
			if err != nil {
				t.Error(err)
			}
		})
		if order.Status != 201 && order.Status != 422 {
			t.Fatalf("checkout against cart changes answered %s", order)
		}
	}
	s.Verify(t)
}

// A client, webhooks in every disorder and the reconciler all report the same payment.
func TestClientAgainstWebhookAgainstReconciler(t *testing.T) {
	s := open(t, "payments.confirm_timeout=300ms", "payments.sandbox_pending=600ms", "payments.sandbox_slow=100ms", "orders.checkout_wait=200ms")
	s.Goods(t, 10_000, "A")
	outcome := map[string]string{
		"tok_ok": "confirmed", "tok_slow": "confirmed", "tok_dies": "confirmed", "tok_timeout": "confirmed",
		"tok_dup_webhook": "confirmed", "tok_late_webhook": "confirmed", "tok_reorder_webhooks": "confirmed", "tok_no_webhook": "confirmed",
		"tok_declined": "rejected", "tok_pending_declined": "rejected",
	}
	for token, want := range outcome {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			for range 3 {
				c := s.ReadyCart(t, 1, "A")
				shop.Eventually(t, token+" is "+want, func() bool {
					var decided atomic.Bool
					together(3, func(int) {
						a, err := s.Try(c.Checkout("k-"+c.ID, token))
						if err != nil || a.Status >= 500 {
							t.Errorf("%s answered %s, %v", token, a, err)
						}
						if a.Status == 201 && want == "confirmed" || a.Status == 402 && want == "rejected" {
							decided.Store(true)
						}
					})
					return decided.Load()
				})
			}
		})
	}
	t.Cleanup(func() { s.Verify(t) })
}

// The order gives up before the provider answers; what is authorized after that is voided.
func TestUnknownThatTurnsOutAuthorizedAfterRejectionIsVoided(t *testing.T) {
	s := open(t, "payments.confirm_timeout=200ms", "payments.sandbox_pending=3s", "orders.checkout_wait=200ms", "orders.deadline=1s")
	s.Goods(t, 10, "A")
	c := s.ReadyCart(t, 1, "A")
	s.Call(t, 202, c.Checkout("k", "tok_timeout"))
	shop.Eventually(t, "the order is rejected", func() bool {
		a, err := s.Try(c.Checkout("k", "tok_timeout"))
		return err == nil && a.Status == 409 && a.Text("code") == "payment_unresolved"
	})
	shop.Eventually(t, "the payment is given back and the run has ended", func() bool {
		intents := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/payments", Token: s.Key})
		state := intents.JSON()["intents"].([]any)[0].(map[string]any)["state"]
		runs := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/runs?state=done", Token: s.Key})
		return (state == "voided" || state == "failed") && len(runs.JSON()["runs"].([]any)) == 1
	})
	s.Stock(t, "A", "available", 10)
	s.Verify(t)
}
