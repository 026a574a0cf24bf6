package planted

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

const (
	clients  = 16
	loadFor  = 10 * time.Second
	pieces   = 100_000 // of what never sells out
	rarePick = 4       // one cart in so many takes what is sold out soon
)

// payments are what the shoppers pay with, in turn.
var payments = []string{
	"tok_ok", "tok_declined", "tok_ok", "tok_dies", "tok_ok", "tok_timeout", "tok_ok", "tok_dup_webhook", "tok_ok", "tok_lost", "tok_late_webhook",
}

// hurried are settings under which what takes a provider minutes happens within the test.
var hurried = []string{
	"orders.checkout_wait=500ms", "orders.deadline=2s", "payments.confirm_timeout=300ms", "payments.sandbox_pending=1s", "gateway.rate_limit=false",
}

// crowd shops until the time is over and keeps what it was told.
type crowd struct {
	mu   sync.Mutex
	said map[string]int // by status and code
	told []string       // lines of acknowledged orders
}

func (c *crowd) heard(a shop.Answer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.said[err.Error()]++
		return
	}
	c.said[fmt.Sprint(a.Status, " ", a.Text("code"))]++
	switch a.Status {
	case 201:
		c.told = append(c.told, a.Text("id")+" confirmed\n")
	case 202:
		c.told = append(c.told, a.Text("id")+"\n")
	}
}

// list writes what was acknowledged so far, as a client would keep it.
func (c *crowd) list(t *testing.T, path string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	for _, line := range c.told {
		text += line
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *crowd) shop(t *testing.T, s *shop.Shop, client int, until time.Time) {
	for n := client; time.Now().Before(until); n++ {
		cart, err := fill(s, n)
		if err != nil {
			t.Errorf("shopper %d: %v", client, err)
			return
		}
		a, err := s.Try(cart.Checkout("key-"+cart.ID, payments[n%len(payments)]))
		c.heard(a, err)
		if err == nil && a.Status == 201 {
			c.afterSale(s, a.Text("id"), n)
		}
	}
}

// afterSale is what happens to an order next: it is sent, canceled, sent back, or stays.
func (c *crowd) afterSale(s *shop.Shop, order string, n int) {
	post := func(want int, path, body string) {
		a, err := s.Try(shop.Request{Method: "POST", Path: path, Token: s.Key, Key: fmt.Sprint(order, "-", n, "-", want), Body: body})
		c.mu.Lock()
		defer c.mu.Unlock()
		c.said[fmt.Sprint(path[:len("/api/s")], " ", a.Status, " ", a.Text("code"), err)]++
	}
	if n%3 > 0 {
		post(200, "/api/shipments/"+order+"/dispatch", `{"lines": [{"line": 1, "quantity": 1}]}`)
	}
	switch n % 5 {
	case 0:
		post(200, "/api/orders/"+order+"/cancel", `{"reason": "changed my mind"}`)
	case 1:
		post(201, "/api/orders/"+order+"/returns", `{"received": true}`)
	case 2:
		post(201, "/api/orders/"+order+"/refunds", `{"amount": {"currency": "GBP", "amount": "0.50"}, "reason": "came late"}`)
	}
}

// fill is a cart that can be ordered. Unlike the steps of package shop it may be refused what is sold out.
func fill(s *shop.Shop, n int) (shop.Cart, error) {
	lines := []any{map[string]any{"sku": "A", "quantity": 1}}
	if n%rarePick == 0 {
		lines = append(lines, map[string]any{"sku": "RARE", "quantity": 1})
	}
	made, err := s.Try(shop.Request{Method: "POST", Path: "/api/carts", Body: map[string]any{"lines": lines}})
	if err != nil {
		return shop.Cart{}, err
	}
	cart := shop.Cart{ID: made.Text("id"), Token: made.Text("token")}
	for _, step := range []struct{ path, body string }{
		{"/address", `{"email": "john@example.com", "address":
			{"name": "John Doe", "lines": ["1 High Street"], "city": "London", "postal_code": "N1 9GU", "country": "GB"}}`},
		{"/shipping", `{"option_id": "standard"}`},
	} {
		a, err := s.Try(shop.Request{Method: "PUT", Path: "/api/carts/" + cart.ID + step.path, Token: cart.Token, Body: step.body})
		if err != nil || a.Status != 200 {
			return cart, fmt.Errorf("PUT %s answered %s (%w)", step.path, a, err)
		}
	}
	return cart, nil
}

func TestVerifyOfABusyShopFindsNothing(t *testing.T) {
	var args []string
	for _, set := range hurried {
		args = append(args, "--set", set)
	}
	s := shop.Start(t, shop.Options{Args: args})
	s.Goods(t, pieces, "A")
	s.Goods(t, 20, "RARE")
	c, until := &crowd{said: map[string]int{}}, time.Now().Add(loadFor)
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() { c.shop(t, s, client, until) })
	}
	list, checks := filepath.Join(t.TempDir(), "acknowledged"), 0
	for ; time.Now().Before(until); checks++ {
		c.list(t, list)
		s.Verify(t, "--acknowledged", list)
	}
	all.Wait()
	c.list(t, list)
	s.Verify(t, "--acknowledged", list)
	t.Logf("%d checks while %d orders were acknowledged; the answers: %v", checks, len(c.told), c.said)
	for _, want := range []string{
		"201 ", "202 ", "402 payment_declined", "409 sold_out", "/api/s 200 <nil>", "/api/o 200 <nil>", "/api/o 201 <nil>",
	} {
		if c.said[want] == 0 {
			t.Errorf("nobody was answered %q: %v", want, c.said)
		}
	}
}
