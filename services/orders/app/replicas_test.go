package app_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// replicated is two processes of the orders room on one store, beside one world. Each has a clock of its own, so that
// one can stop.
func replicated(t *testing.T) (a, b *shop) {
	dir, w := t.TempDir(), newWorld()
	w.carts["crt_1"] = cart()
	w.left["85123A"] = 10_000
	made := make([]*shop, 2)
	for i, name := range []string{"a", "b"} {
		s := &shop{T: t, world: w, dir: dir, process: name, clock: clock.NewFake(noon), ids: id.NewSource(clock.System{})}
		s.onWrite(func(bool) {})
		s.ctx, s.leave = context.WithCancel(context.Background())
		s.boot()
		s.start()
		t.Cleanup(s.close)
		made[i] = s
	}
	return made[0], made[1]
}

// tick moves clocks while the test goes on; the machine's time is bounded by the patience of what waits.
func tick(t *testing.T, shops ...*shop) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
				for _, s := range shops {
					s.clock.Advance(20 * time.Millisecond)
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// order orders a cart of its own at this process.
func (s *shop) order(cartID, key string) (app.Answer, error) {
	c := s.command(key, "authorized", "body "+cartID)
	c.CartID = cartID
	who := auth.Principal{Kind: auth.Bearer, ID: cartID}
	c.Key.Principal = who.String()
	return s.app.Checkout(context.Background(), who, c)
}

func (s *shop) fill(carts int) {
	s.set(func() {
		for i := range carts {
			c := cart()
			c.CartID = fmt.Sprintf("crt_%d", 100+i)
			s.carts[c.CartID] = c
		}
	})
}

func TestTwoProcessesTakeOrdersAtTheSameTime(t *testing.T) {
	const carts = 40
	a, b := replicated(t)
	tick(t, a, b)
	a.fill(carts)
	var all sync.WaitGroup
	answers := make([][2]app.Answer, carts)
	for i := range carts {
		for k, s := range []*shop{a, b} { // the same request reaches both
			all.Go(func() {
				answer, err := s.order(fmt.Sprintf("crt_%d", 100+i), fmt.Sprint("key_", i))
				if err != nil || answer.Order.Status != order.Confirmed {
					t.Errorf("cart %d at process %s: %s, %v; want confirmed", i, s.process, answer.Order.Status, err)
				}
				answers[i][k] = answer
			})
		}
	}
	all.Wait()
	for i, both := range answers {
		if both[0].Order.ID != both[1].Order.ID {
			t.Errorf("cart %d became orders %s and %s", i, both[0].Order.ID, both[1].Order.ID)
		}
	}
	if n := a.count(`SELECT COUNT(*) FROM events WHERE version = 1`); n != carts {
		t.Errorf("there are %d orders, want %d", n, carts)
	}
	a.set(func() {
		if taken := 10_000 - int(a.left["85123A"]); taken != 2*carts {
			t.Errorf("%d pieces are held, want %d", taken, 2*carts)
		}
		for orderID, p := range a.payments {
			if p.authorizations != 1 {
				t.Errorf("order %s was authorized %d times", orderID, p.authorizations)
			}
		}
	})
}

func TestAnOrderOfAProcessThatDiedIsDecidedByAnother(t *testing.T) {
	a, b := replicated(t)
	a.on(a.before, "pay", a.kill) // it dies with the hold in its hands
	_ = a.callLater("key_1", "authorized")
	a.until("the process dies", a.dead.Load)
	answer := make(chan app.Answer, 1)
	began := b.clock.Now()
	b.callers.Go(func() { // the shopper asks the other process
		for b.ctx.Err() == nil {
			if got, err := b.checkout("key_1", "authorized"); err == nil {
				answer <- got
				return
			}
		}
	})
	b.pass(50*time.Millisecond, "the other process answers", func() bool { return len(answer) > 0 })
	if got := <-answer; got.Pending || got.Order.Status != order.Confirmed {
		t.Errorf("the order is %s (pending %v), want confirmed", got.Order.Status, got.Pending)
	}
	if took, bound := b.clock.Now().Sub(began), 3*lease.TTLDefault; took > bound {
		t.Errorf("it was taken over and decided after %v, want within %v", took, bound)
	}
	o := b.state()
	if p := b.payment(o.ID); p.authorizations != 1 || b.hold(o.ID) != "held" {
		t.Errorf("the order was authorized %d times and its pieces are %q", p.authorizations, b.hold(o.ID))
	}
}

func TestAFactHeardByOneProcessMovesTheRunOfAnother(t *testing.T) {
	a, b := replicated(t)
	waiting := make(chan app.Answer, 1)
	a.callers.Go(func() { got, _ := a.checkout("key_1", "unknown"); waiting <- got })
	a.until("payments answers unknown", func() bool { return a.state().Payment == order.PaymentUnknown })
	o := a.state()
	a.set(func() { a.payments[o.ID].state = "authorized"; a.payments[o.ID].authorizations = 1 })
	b.hear(o.ID, order.Authorized{IntentID: "pay_" + o.ID, Attempt: 1})
	tick(t, a, b)
	a.until("the request at a is answered", func() bool { return len(waiting) > 0 })
	if got := <-waiting; got.Order.Status != order.Confirmed {
		t.Errorf("the order is %s, want confirmed", got.Order.Status)
	}
	a.until("its run ends", a.ended(o.ID))
	if names := a.events(o.ID); len(names) != len(slices.Compact(slices.Sorted(slices.Values(names)))) {
		t.Errorf("the order's stream says something twice: %v", names)
	}
}
