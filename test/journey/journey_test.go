// Package journey walks through the shop as shoppers and merchants do, through the
// public API, in every placement.
package journey

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

// placements are the ways in which the same shop can run; every journey holds in each.
var placements = []struct {
	name  string
	open  func(t *testing.T) *shop.Shop
	retry bool // idempotent calls are made twice at once; events come twice, late and out of order
}{
	{"one", func(t *testing.T) *shop.Shop { return shop.Start(t, shop.Options{Placement: shop.One}) }, false},
	{"one+retry", func(t *testing.T) *shop.Shop {
		return shop.Start(t, shop.Options{Placement: shop.One, Env: []string{"SOUK_FAULTS_BUS_SEED=7"}})
	}, true},
	{"halves", func(t *testing.T) *shop.Shop { return shop.Start(t, shop.Options{Placement: shop.Halves}) }, false},
	{"twins", func(t *testing.T) *shop.Shop { return shop.Start(t, shop.Options{Placement: shop.Twins}) }, false},
	{"split", func(t *testing.T) *shop.Shop { return shop.Start(t, shop.Options{Placement: shop.Split}) }, false},
	{"split+retry", func(t *testing.T) *shop.Shop {
		return shop.Start(t, shop.Options{Placement: shop.Split, Env: []string{"SOUK_FAULTS_BUS_SEED=7"}})
	}, true},
}

var journeys = []struct {
	name string
	walk func(t *testing.T, s *shop.Shop)
}{
	{"from nothing to a confirmed order", firstOrder},
	{"the cart is emptied by its order and can be used again", cartAgain},
	{"a declined payment frees the cart and the stock", declined},
	{"a sold out line is named and nothing is charged", soldOut},
	{"a changed price is told before anything is ordered", priceChanged},
	{"a product on backorder is sold beyond what is there", backorder},
	{"an order is in its customer's next list", nextList},
	{"a guest sees only what is theirs", foreign},
	{"a payment that answers late is confirmed after a 202", lateAnswer},
	{"an incomplete cart says what is missing", incomplete},
}

func TestJourneys(t *testing.T) {
	for _, p := range placements {
		t.Run(p.name, func(t *testing.T) {
			s := p.open(t)
			s.Retry = p.retry
			for _, j := range journeys {
				t.Run(j.name, func(t *testing.T) { j.walk(t, s) })
			}
			for _, j := range merchants {
				t.Run(j.name, func(t *testing.T) { j.walk(t, s) })
			}
			s.Verify(t)
			if p.retry {
				s.Stop()
				s.Run()
				s.Ready()
				s.Verify(t)
			}
		})
	}
}

// sku is a fresh SKU for one journey.
func sku(t *testing.T) string { return fmt.Sprintf("J%d", time.Now().UnixNano()) }

func firstOrder(t *testing.T, s *shop.Shop) {
	a, b := sku(t), sku(t)
	s.Goods(t, 10, a, b)
	c := s.ReadyCart(t, 2, a, b)
	o := s.Call(t, 201, c.Checkout("first-"+c.ID, "tok_ok"))
	if o.Text("state") != "confirmed" || o.Text("payment_state") != "authorized" {
		t.Fatalf("the order is %s", o)
	}
	if got := o.Header.Get("Location"); got != "/api/orders/"+o.Text("id") {
		t.Errorf("Location is %q", got)
	}
	read := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/orders/" + o.Text("id"), Token: o.Text("token")})
	if read.Text("state") != "confirmed" || read.Text("shipping_address.city") != "London" {
		t.Errorf("its owner reads %s", read)
	}
	if o.Text("shipping_address") != "" {
		t.Errorf("a stored answer carries an address: %s", o)
	}
	s.Stock(t, a, "allocated", 2)
}

func cartAgain(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	c := s.ReadyCart(t, 3, a)
	first := s.Call(t, 201, c.Checkout("a-"+c.ID, "tok_ok"))
	shop.Eventually(t, "the cart is empty", func() bool {
		cart := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/carts/" + c.ID, Token: c.Token})
		return cart.Text("last_order_id") == first.Text("id") && len(cart.JSON()["lines"].([]any)) == 0
	})
	again := s.Call(t, 409, c.Checkout("b-"+c.ID, "tok_ok"))
	if again.Text("code") != "cart_already_ordered" || again.Text("order") != first.Text("id") {
		t.Errorf("ordering the emptied cart again answered %s", again)
	}
	c.Put(t, a, 1)
	c.Deliver(t)
	second := s.Call(t, 201, c.Checkout("c-"+c.ID, "tok_ok"))
	if second.Text("id") == first.Text("id") {
		t.Error("the second order is the first")
	}
}

func declined(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 1, a)
	c := s.ReadyCart(t, 1, a)
	no := s.Call(t, 402, c.Checkout("no-"+c.ID, "tok_declined"))
	if no.Text("code") != "payment_declined" || no.Text("order") == "" {
		t.Errorf("a decline answered %s", no)
	}
	shop.Eventually(t, "the piece is free again", func() bool { return s.StockOf(t, a, "available") == 1 })
	s.Call(t, 201, c.Checkout("yes-"+c.ID, "tok_ok"))
}

func soldOut(t *testing.T, s *shop.Shop) {
	a, b := sku(t), sku(t)
	s.Goods(t, 1, a)
	s.Goods(t, 9, b)
	first := s.ReadyCart(t, 1, a)
	second := s.ReadyCart(t, 1, a, b)
	s.Call(t, 201, first.Checkout("k-"+first.ID, "tok_ok"))
	no := s.Call(t, 409, second.Checkout("k-"+second.ID, "tok_ok"))
	if no.Text("code") != "sold_out" || len(no.JSON()["violations"].([]any)) != 1 {
		t.Fatalf("a sold out line answered %s", no)
	}
	if field := no.JSON()["violations"].([]any)[0].(map[string]any)["field"]; field != a {
		t.Errorf("the line at fault is %v, want %s", field, a)
	}
	s.Stock(t, b, "available", 9)
	second.Put(t, a, 0)
	s.Call(t, 201, second.Checkout("k2-"+second.ID, "tok_ok"))
}

func priceChanged(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 5, a)
	c := s.ReadyCart(t, 1, a)
	seen := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/carts/" + c.ID, Token: c.Token}).Text("totals.total.amount")
	s.Call(t, 200, shop.Request{Method: "POST", Path: "/api/prices:batch", Token: s.Key, Body: map[string]any{
		"prices": []any{map[string]any{"sku": a, "price": shop.GBP("3.55")}},
	}})
	order := c.Checkout("k-"+c.ID, "tok_ok")
	order.Body.(map[string]any)["expected_total"] = shop.GBP(seen)
	no := s.Call(t, 409, order)
	if no.Text("code") != "price_changed" || no.Text("total") == seen {
		t.Fatalf("a changed price answered %s", no)
	}
	order.Body.(map[string]any)["expected_total"] = shop.GBP(no.Text("total"))
	s.Call(t, 201, order)
}

func backorder(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 1, a)
	s.Call(t, 200, shop.Request{Method: "PUT", Path: "/api/stock/" + a + "/policy", Token: s.Key, Body: map[string]any{"backorder": true, "backorder_limit": 2}})
	c := s.ReadyCart(t, 3, a)
	s.Call(t, 201, c.Checkout("k-"+c.ID, "tok_ok"))
	more := s.ReadyCart(t, 1, a)
	s.Call(t, 409, more.Checkout("k-"+more.ID, "tok_ok"))
}

func nextList(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 100, a)
	for range 10 {
		c := s.ReadyCart(t, 1, a)
		o := s.Call(t, 201, c.Checkout("k-"+c.ID, "tok_ok"))
		list := s.Call(t, 200, shop.Request{Method: "GET", Path: "/api/orders", Token: c.Token})
		orders := list.JSON()["orders"].([]any)
		if len(orders) != 1 || orders[0].(map[string]any)["id"] != o.Text("id") || orders[0].(map[string]any)["state"] != "confirmed" {
			t.Fatalf("the next list of the customer of %s is %s", o.Text("id"), list)
		}
	}
}

func foreign(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 5, a)
	mine, theirs := s.ReadyCart(t, 1, a), s.ReadyCart(t, 1, a)
	o := s.Call(t, 201, mine.Checkout("k-"+mine.ID, "tok_ok"))
	for _, token := range []string{theirs.Token, theirs.Token + "x", ""} {
		for _, path := range []string{"/api/carts/" + mine.ID, "/api/orders/" + o.Text("id")} {
			got, err := s.Try(shop.Request{Method: "GET", Path: path, Token: token})
			if err != nil || got.Status != 404 && got.Status != 401 {
				t.Errorf("GET %s with another's token answered %s, %v", path, got, err)
			}
		}
	}
	steal := mine.Checkout("steal-"+mine.ID, "tok_ok")
	steal.Token = theirs.Token
	s.Call(t, 404, steal)
}

func lateAnswer(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 5, a)
	c := s.ReadyCart(t, 1, a)
	o, err := s.Try(c.Checkout("k-"+c.ID, "tok_dies"))
	if err != nil {
		t.Fatal(err)
	}
	if o.Status != 202 && o.Status != 201 && !(s.Retry && o.Status == 409) {
		t.Fatalf("a payment whose answer was lost: %s", o)
	}
	shop.Eventually(t, "the order is confirmed", func() bool {
		again, err := s.Try(c.Checkout("k-"+c.ID, "tok_dies"))
		return err == nil && again.Status == 201 && again.Text("state") == "confirmed"
	})
}

func incomplete(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 5, a)
	c := s.Cart(t)
	no := s.Call(t, 422, c.Checkout("k-"+c.ID, "tok_ok"))
	if no.Text("code") != "cart_incomplete" || len(no.JSON()["violations"].([]any)) != 3 {
		t.Errorf("an empty cart answered %s", no)
	}
	c.Put(t, a, 1)
	c.Deliver(t)
	bad := c.Checkout("k-"+c.ID, "")
	if got := s.Call(t, 400, bad); got.Text("code") != "invalid_request" {
		t.Errorf("no payment token answered %s", got)
	}
	bad = c.Checkout("", "tok_ok")
	if got := s.Call(t, 400, bad); got.Text("code") != "idempotency_key_required" {
		t.Errorf("no key answered %s", got)
	}
}
