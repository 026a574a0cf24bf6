// Package split does to a shop of many processes what happens to one in operation: rooms that are restarted, absent,
// replaced by another version, or started wrongly. What shoppers and merchants do there is walked in test/journey.
package split

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

// unlimited lets a load come from one address.
var unlimited = []string{"--set", "gateway.rate_limit=false"}

func TestEachRoomIsRestartedInTurnUnderLoad(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.Split, Args: unlimited})
	l := shop.Shoppers(t, s, 4)
	for _, p := range s.Processes() {
		before := l.Orders()
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		shop.Eventually(t, "orders are made after the restart of "+p.Target, func() bool { return l.Orders() > before+2 })
	}
	s.Verify(t, "--acknowledged", l.End(t))
}

func TestADeadNotificationsRoomFailsNoCheckout(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.Split})
	s.Goods(t, 10, "A")
	s.Of("notifications").Kill()
	id := s.Sold(t, "tok_ok", 1, "A")
	hooks := s.Staff("GET", "/api/webhook-endpoints", "", nil)
	away, err := s.Try(hooks)
	if err != nil || away.Status != 503 || away.Text("code") != "not_ready" || !strings.Contains(away.Text("detail"), "notifications") {
		t.Errorf("a dead room was explained as %s %v", away, err)
	}
	s.Run() // starts what is not running
	s.Ready()
	shop.Eventually(t, "the room is found again", func() bool {
		a, err := s.Try(hooks)
		return err == nil && a.Status == 200
	})
	s.Becomes(t, id, "state", "confirmed")
	s.Verify(t)
}

func TestWhileANeighbourIsAbsentCallsAreBoundedAndExplained(t *testing.T) {
	s := shop.Start(t, shop.Options{Placement: shop.Split})
	s.Goods(t, 10, "A")
	c := s.ReadyCart(t, 1, "A")
	s.Of("payments").Kill()
	began := time.Now()
	a, err := s.Try(c.Checkout("k-"+c.ID, "tok_ok"))
	if err != nil || a.Status != 202 && a.Status != 503 {
		t.Errorf("a checkout without payments was answered %s %v", a, err)
	}
	t.Logf("it was answered %d within %v", a.Status, time.Since(began))
	s.Run()
	s.Ready()
	shop.Eventually(t, "the order is decided", func() bool {
		a, err = s.Try(c.Checkout("k-"+c.ID, "tok_ok"))
		return err == nil && a.Status == 201
	})
	s.Verify(t)
}
