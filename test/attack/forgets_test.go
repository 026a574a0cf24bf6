package attack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/test/shop"
)

// onRedis serves a shop whose carts are in a Redis of the test's.
func onRedis(t *testing.T) (*shop.Shop, *engine.RedisServer) {
	t.Helper()
	redis := enginetest.Redis(t, engine.RedisOptions{})
	return open(t, "store.carts="+redis.URL()), redis
}

// goBack takes the server back to copied files, as a restore does, or a replica that takes over late.
func goBack(t *testing.T, redis *engine.RedisServer, files string) {
	t.Helper()
	if err := errors.Join(redis.Kill(), redis.Restore(files), redis.Start(context.Background())); err != nil {
		t.Fatal(err)
	}
}

// copied is the server's files as they are now.
func copied(t *testing.T, redis *engine.RedisServer) string {
	t.Helper()
	files := filepath.Join(t.TempDir(), "copied")
	if err := redis.CopyFiles(files); err != nil {
		t.Fatal(err)
	}
	return files
}

// emptied waits until an order's pieces have been taken out of its cart.
func emptied(t *testing.T, s *shop.Shop, c shop.Cart, orderID string) {
	t.Helper()
	shop.Eventually(t, "the cart is emptied by its order", func() bool {
		a, err := s.Try(shop.Request{Method: "GET", Path: "/api/carts/" + c.ID, Token: c.Token})
		lines, _ := a.JSON()["lines"].([]any)
		return err == nil && a.Status == 200 && a.Text("last_order_id") == orderID && len(lines) == 0
	})
}

// refusedNaming tries to order a cart again, until it is answered, and wants a refusal that names the order it has.
func refusedNaming(t *testing.T, s *shop.Shop, c shop.Cart, key, orderID string) {
	t.Helper()
	shop.Eventually(t, "a checkout is answered", func() bool {
		a, err := s.Try(c.Checkout(key, "tok_ok"))
		if err != nil || a.Status == 503 {
			return false
		}
		if a.Status != 409 || a.Text("code") != "cart_already_ordered" || a.Text("order") != orderID {
			t.Errorf("another order of the cart answered %s, want that order %s has it", a, orderID)
		}
		return true
	})
}

// A server that goes back to before the checkout shows a full cart again. It cannot be ordered again: the claim is kept
// by orders, and asks for a cart that has heard of its last order.
func TestARedisThatForgetsACheckoutMakesNoSecondOrder(t *testing.T) {
	s, redis := onRedis(t)
	s.Goods(t, 100, "A")
	c := s.ReadyCart(t, 2, "A")
	before := copied(t, redis)
	first := s.Call(t, 201, c.Checkout("k1", "tok_ok"))
	emptied(t, s, c, first.Text("id"))

	goBack(t, redis, before)
	refusedNaming(t, s, c, "k2", first.Text("id"))
	if again := s.Call(t, 201, c.Checkout("k1", "tok_ok")); string(again.Body) != string(first.Body) {
		t.Errorf("the first key answers %s, want %s", again, first)
	}
	emptied(t, s, c, first.Text("id"))

	c.Put(t, "A", 1) // and the cart goes on
	c.Deliver(t)
	s.Call(t, 201, c.Checkout("k3", "tok_ok"))
	s.Stock(t, "A", "allocated", 3)
	s.Verify(t)
}

func TestARedisThatForgetsWhileAnOrderIsUndecidedMakesNoSecondOrder(t *testing.T) {
	for _, c := range []struct{ token, becomes string }{{"tok_timeout:3s", "confirmed"}, {"tok_pending_declined:3s", "rejected"}} {
		t.Run(c.becomes, func(t *testing.T) {
			s, redis := onRedis(t)
			s.Goods(t, 100, "A")
			cart := s.ReadyCart(t, 1, "A")
			before := copied(t, redis)
			cart.Put(t, "A", 2)
			cart.Deliver(t)
			var all sync.WaitGroup
			var first shop.Answer
			all.Go(func() { first, _ = s.Try(cart.Checkout("k1", c.token)) })
			shop.Eventually(t, "the pieces are held", func() bool { return s.StockOf(t, "A", "held") == 2 })
			goBack(t, redis, before) // in the middle of it, to a cart of one piece
			shop.Eventually(t, "carts answer", func() bool {
				a, err := s.Try(shop.Request{Method: "GET", Path: "/api/carts/" + cart.ID, Token: cart.Token})
				return err == nil && a.Status == 200
			})
			cart.Deliver(t)
			a, err := s.Try(cart.Checkout("k2", "tok_ok"))
			if err != nil || a.Status != 409 || a.Text("code") != "cart_already_ordered" {
				t.Errorf("another order meanwhile answered %s, %v", a, err)
			}
			all.Wait()
			s.Becomes(t, a.Text("order"), "state", c.becomes)
			if c.becomes == "rejected" {
				s.Call(t, 201, cart.Checkout("k3", "tok_ok")) // it is free again, with what Redis has of it
				s.Stock(t, "A", "allocated", 1)
			} else {
				emptied(t, s, cart, a.Text("order"))
				s.Stock(t, "A", "allocated", 2)
			}
			if first.Status != 201 && first.Status != 202 && first.Status != 402 {
				t.Errorf("the first checkout was answered %s", first)
			}
			s.Verify(t)
		})
	}
}

// Buyers order one cart all the time, each time under another key, while its server goes back again and again to when
// the cart was full.
func TestACartThatIsFilledAgainByARestoreIsOrderedOnce(t *testing.T) {
	s, redis := onRedis(t)
	s.Goods(t, 1000, "A")
	c := s.ReadyCart(t, 2, "A")
	full := copied(t, redis)
	end := make(chan struct{})
	var all sync.WaitGroup
	var orders, tried atomic.Int64
	for buyer := range 8 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-time.After(2 * time.Millisecond):
				}
				a, err := s.Try(c.Checkout(fmt.Sprint("k-", buyer, "-", n), "tok_ok"))
				tried.Add(1)
				switch {
				case err != nil:
					t.Error(err)
				case a.Status == 201:
					orders.Add(1)
				case a.Status != 409 && a.Status != 422 && a.Status != 503:
					t.Errorf("a checkout answered %s", a)
				}
			}
		})
	}
	for range 6 {
		time.Sleep(150 * time.Millisecond)
		goBack(t, redis, full)
	}
	time.Sleep(150 * time.Millisecond)
	close(end)
	all.Wait()
	t.Logf("%d checkouts were tried", tried.Load())
	if n := orders.Load(); n != 1 {
		t.Errorf("%d orders were made of one cart", n)
	}
	s.Stock(t, "A", "allocated", 2)
	s.Verify(t)
}
