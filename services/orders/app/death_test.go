package app_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/orders/order"
)

// What follows a confirmed order survives the death of the process at every point; the events and the commands are
// heard again, as the bus and the client do.
func TestAfterSaleSurvivesItsDeathAnywhere(t *testing.T) {
	for _, story := range []struct {
		name string
		tell func(s *shop, orderID string) error // may be told again
		end  func(s *shop, o order.Order) string // what is wrong at the end
	}{
		{"dispatch and capture", func(s *shop, id string) error { return s.tryHear(id, s.parcel(id)) }, func(s *shop, o order.Order) string {
			return wrong(o.PaymentState() == "captured" && s.taken(o.ID) == 905, s, o)
		}},
		{"cancel", func(s *shop, id string) error { _, err := s.cancelOrder(id); return err }, func(s *shop, o order.Order) string {
			return wrong(o.Status == order.Canceled && s.payment(o.ID).voids == 1 && s.released[o.ID+"/cancel"] == 2, s, o)
		}},
		{"capture, then cancel", func(s *shop, id string) error {
			if _, err := s.app.Capture(context.Background(), clerk, id, 0, s.key("capture", "c1", ""), s.meta()); err != nil && !problem.Is(err, "order_canceled") {
				return err
			}
			_, err := s.cancelOrder(id)
			return err
		}, func(s *shop, o order.Order) string {
			return wrong(o.Status == order.Canceled && s.taken(o.ID) == s.givenBack(o.ID), s, o)
		}},
		{"return and refund", func(s *shop, id string) error {
			if err := s.tryHear(id, s.parcel(id)); err != nil {
				return err
			}
			_, _, err := s.returned(id, "r1", order.Opening{})
			return err
		}, func(s *shop, o order.Order) string {
			return wrong(o.FulfilmentState() == "returned" && s.givenBack(o.ID) == 510 && s.taken(o.ID) == 905 && len(o.Returns) == 1, s, o)
		}},
	} {
		points := int64(0)
		for dieInAfterSale(t, story.name, points+1, story.tell, story.end) {
			points++
		}
		t.Logf("%s: died at %d points", story.name, points)
		if points < 4 {
			t.Errorf("%s: only %d points were seen", story.name, points)
		}
	}
}

func wrong(right bool, s *shop, o order.Order) string {
	if right {
		return ""
	}
	return fmt.Sprintf("the order is %s, %s, %s; taken %d, given back %d, payment %+v, released %v", o.Status, o.FulfilmentState(), o.PaymentState(),
		s.taken(o.ID), s.givenBack(o.ID), s.payment(o.ID), s.released)
}

func (s *shop) tryHear(orderID string, fact order.Event) error {
	return s.store.Update(context.Background(), s.hearing(orderID, fact))
}

// publish is what payments tells by events of what it did, whether or not the run has heard the answer.
func (s *shop) publish(orderID string) {
	s.Helper()
	var all []order.Event
	s.set(func() {
		for id, m := range s.captured {
			all = append(all, order.Captured{ID: id, Amount: m.amount})
		}
		for id, m := range s.refunds {
			all = append(all, order.Refunded{ID: id, Amount: m.amount})
		}
	})
	s.hear(orderID, all...)
}

func dieInAfterSale(t *testing.T, name string, n int64, tell func(*shop, string) error, end func(*shop, order.Order) string) bool {
	var points atomic.Int64
	t.Run(fmt.Sprintf("%s, point %d", name, n), func(t *testing.T) {
		s := open(t)
		o := s.confirmed("k1")
		s.until("the checkout ends", s.ended(o.ID))
		var danger sync.Mutex
		over := false
		point := func() {
			danger.Lock()
			defer danger.Unlock()
			if !over && points.Add(1) == n {
				s.kill()
			}
		}
		s.set(func() {
			for _, call := range []string{"stop", "cancel", "capture", "refund", "release_lines"} {
				s.before[call], s.after[call] = point, point
			}
		})
		s.onWrite(func(bool) { point() })
		done := make(chan error, 1)
		go func() { done <- tell(s, o.ID) }()
		s.until("it is over, or dead", func() bool {
			select {
			case err := <-done:
				if err != nil && !s.dead.Load() {
					t.Fatal(err)
				}
				done <- err
			default:
			}
			return s.dead.Load() || len(done) == 1 && s.calm(o.ID)()
		})
		danger.Lock()
		over = true
		danger.Unlock()
		if s.dead.Load() {
			s.clock.Advance(time.Minute) // a caller that waits for a dead process gives up
			<-done
			s.set(func() { clear(s.before); clear(s.after) })
			s.onWrite(func(bool) {})
			s.restart()
			s.must(tell(s, o.ID))
			s.publish(o.ID)
		}
		s.until("all is settled", func() bool { o := s.state(); return s.calm(o.ID)() && !o.Unsettled() })
		if what := end(s, s.state()); what != "" {
			t.Error(what)
		}
	})
	return points.Load() >= n
}
