package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

// overdue is inventory's report that the deadline of a hold has passed.
func overdue(s *shop, orderID string) func(sqlstore.Tx) error {
	return func(tx sqlstore.Tx) error {
		return s.app.Overdue(tx, orderID, eventlog.Meta{Shop: "shop", Actor: "service:inventory"})
	}
}

// moments are where an event can come in between the statements of a checkout.
var moments = []string{"before hold", "after hold", "before pay", "after pay", "decided"}

// at has something happen at a moment of the next checkout.
func (s *shop) at(moment string, do func(orderID string)) {
	when, call, _ := strings.Cut(moment, " ")
	hooks := s.before
	if when == "after" {
		hooks = s.after
	}
	s.on(hooks, call, func() { do(s.state().ID) })
}

// Whatever is heard, at whatever moment, once or twice: the order is decided once, its run ends, and money and stock
// are where the decision says.
func TestEventsMayComeAtAnyMoment(t *testing.T) {
	stories := map[string][]string{
		"authorized": {"authorized"}, "declined": {"declined"}, "unknown, then authorized": {"unknown", "authorized"},
	}
	for name, story := range stories {
		for _, moment := range moments {
			for times := 1; times <= 2; times++ {
				t.Run(fmt.Sprintf("%s, heard %d times %s", name, times, moment), func(t *testing.T) {
					heardAt(t, story, moment, times)
				})
			}
		}
	}
}

func heardAt(t *testing.T, story []string, moment string, times int) {
	s := open(t)
	last := story[len(story)-1]
	tell := func(id string) {
		for _, state := range story {
			s.set(func() { s.payments[id] = &payment{state: state} })
			for range times {
				s.hear(id, seen(id, state))
			}
		}
	}
	if moment != "decided" {
		s.at(moment, tell)
	}
	a, err := s.checkout("k1", last)
	s.must(err)
	if moment == "decided" {
		tell(a.Order.ID)
	}
	s.pass(time.Second, "the run ends", s.ended(a.Order.ID))
	o := s.state()
	s.settled(o)
	if want := map[string]order.Status{"authorized": order.Confirmed, "declined": order.Rejected}[last]; o.Status != want {
		t.Errorf("the order is %s, want %s", o.Status, want)
	}
	if n := s.count(`SELECT count(*) FROM events WHERE type IN ('OrderConfirmed', 'OrderRejected')`); n != 1 {
		t.Errorf("it was decided %d times: %v", n, s.events(o.ID))
	}
}

// settled checks that the world is as an ended order says.
func (s *shop) settled(o order.Order) {
	s.Helper()
	paid, held := s.payment(o.ID).state == "authorized", s.hold(o.ID) == "held"
	if confirmed := o.Status == order.Confirmed; paid != confirmed || held != confirmed {
		s.Errorf("the order is %s, paid %v, held %v: %v; it asked for %s", o.Status, paid, held, s.events(o.ID), s.story())
	}
	if n := s.count(`SELECT count(*) FROM payment_tokens`); n != 0 || len(o.Undo) != 0 {
		s.Errorf("%d payment tokens are left, to undo %v", n, o.Undo)
	}
}

// A reading from before the event must not put the run back: the driver has asked, is told "unknown" once more, and
// meanwhile the event has confirmed the order and ended its run.
func TestAnAnswerThatIsOldNewsDoesNotReviveTheRun(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	var revived atomic.Bool
	s.on(s.after, "pay", func() {
		s.set(func() { s.payments[o.ID].state = "authorized" })
		s.hear(o.ID, seen(o.ID, "authorized"))
		s.onWrite(func(after bool) {
			if r, _, err := s.app.Run(context.Background(), o.ID); after && err == nil && r.State == saga.Running {
				revived.Store(true)
			}
		})
	})
	s.pass(time.Second, "the run ends", s.ended(o.ID))
	s.until("the driver has saved its answer", func() bool { return s.driver.Load().Close(context.Background()) == nil })
	if revived.Load() {
		t.Error("a run that had ended was running again")
	}
}

func TestTheDeadlineMayComeFromInventory(t *testing.T) {
	for _, moment := range moments[:4] {
		t.Run(moment, func(t *testing.T) {
			s := open(t)
			s.at(moment, func(id string) {
				s.clock.Set(s.state().Deadline)
				for range 2 {
					s.must(s.store.Update(context.Background(), overdue(s, id)))
				}
			})
			a, err := s.checkout("k1", "authorized")
			s.must(err)
			s.pass(time.Second, "the run ends", s.ended(a.Order.ID))
			if s.settled(s.state()); s.state().Rejection.Code != "payment_unresolved" {
				t.Errorf("the order is %s: %+v", s.state().Status, s.state().Rejection)
			}
		})
	}
}

func TestAnOverdueHoldOfADecidedOrUnknownOrderSaysNothing(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.clock.Advance(time.Hour)
	s.must(s.store.Update(context.Background(), overdue(s, o.ID)))
	s.must(s.store.Update(context.Background(), overdue(s, "ord_9")))
	if got := s.state(); got.Version != o.Version {
		t.Errorf("it has left events: %v", s.events(o.ID))
	}
}

func TestAFactAboutAnOrderThatWasNeverPlacedIsALetter(t *testing.T) {
	s := open(t)
	err := s.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		return s.app.Hear(tx, "ord_9", eventlog.Meta{}, seen("ord_9", "authorized"))
	})
	if err == nil {
		t.Error("it was accepted: nobody would ever see it")
	}
}

// Two processes think that they drive the run. The one that lost the store may still ask other rooms, which bear it,
// and can write nothing.
func TestADriverThatLostTheStoreIsFenced(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.must(s.driver.Load().Close(context.Background())) // what follows is driven by hand
	stale, _ := s.run(o.ID)
	s.must(s.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := saga.TakeOver(tx, "another", s.clock.Now())
		return err
	}))
	s.set(func() { s.payments[o.ID].state = "authorized" })
	before := s.state()
	if _, err := s.app.Advance(context.Background(), stale); !errors.Is(err, saga.ErrFenced) {
		t.Errorf("it gave %v", err)
	}
	if now := s.state(); now.Version != before.Version {
		t.Errorf("it has left events: %v", s.events(o.ID))
	}
	fresh, _ := s.run(o.ID)
	if _, err := s.app.Advance(context.Background(), fresh); err != nil || s.state().Status != order.Confirmed {
		t.Errorf("the new driver gave %v, the order is %s", err, s.state().Status)
	}
}

// However events, the clock and restarts are mixed, the run ends and the world is as the order says.
func TestAnyMixtureOfEventsTimeAndRestartsEnds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t)
		defer s.close()
		token := rapid.SampledFrom([]string{"authorized", "declined", "unknown"}).Draw(rt, "token")
		s.callLater("k1", token)
		s.until("it is placed", func() bool { return s.state().ID != "" })
		id := s.state().ID
		for _, step := range rapid.SliceOfN(rapid.SampledFrom([]string{"event", "event", "time", "hour", "overdue", "restart", "turns", "away"}), 0, 8).Draw(rt, "steps") {
			s.mix(step, id)
		}
		s.pass(10*time.Second, "the run ends", func() bool {
			if p := s.payment(id); p.state == "unknown" || p.state == "" {
				return s.ended(id)()
			}
			s.hear(id, seen(id, s.payment(id).state))
			return s.ended(id)()
		})
		s.settled(s.state())
	})
}

func (s *shop) mix(step, id string) {
	p := s.payment(id)
	switch step {
	case "event":
		if p.state != "" && p.state != "none" && p.state != "voided" && p.state != "failed" {
			s.hear(id, seen(id, p.state))
		}
	case "time":
		s.clock.Advance(3 * time.Second)
	case "hour":
		s.clock.Advance(time.Hour)
	case "overdue":
		s.must(s.store.Update(context.Background(), overdue(s, id)))
	case "restart":
		s.restart()
	case "turns":
		s.set(func() {
			if p := s.payments[id]; p != nil && p.state == "unknown" {
				p.state = "authorized"
			}
		})
	case "away":
		s.set(func() { s.away["pay"], s.away["release"], s.away["cancel"] = 2, 2, 2 })
	}
}

// The process dies before and after each write and each call, and a new one takes over.
func TestACheckoutSurvivesItsDeathAnywhere(t *testing.T) {
	for _, token := range []string{"authorized", "declined"} {
		points := int64(0)
		for dieAt(t, token, points+1) {
			points++
		}
		t.Logf("%s: died at %d points", token, points)
		if points < 8 {
			t.Errorf("%s: only %d points were seen", token, points)
		}
	}
}

// dieAt runs a checkout that dies at its n-th point, starts again and lets the client try again with its key. It
// is false when there are not so many points.
func dieAt(t *testing.T, token string, n int64) bool {
	var points atomic.Int64
	t.Run(fmt.Sprintf("%s, point %d", token, n), func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		point := func() {
			if points.Add(1) == n {
				s.kill()
				cancel()
			}
		}
		s.set(func() {
			for _, call := range []string{"cart", "hold", "pay", "release"} {
				s.before[call], s.after[call] = point, point
			}
		})
		s.onWrite(func(bool) { point() })
		a, err := s.app.Checkout(ctx, shopper, s.command("k1", token, "body"))
		for err == nil && !s.dead.Load() {
			if r, _, lost := s.app.Run(context.Background(), a.Order.ID); lost == nil && r.State == saga.Done {
				return
			}
		}
		if !s.dead.Load() {
			t.Fatal(err)
		}
		s.comeBack(token)
	})
	return points.Load() >= n
}

// comeBack restarts, and the client repeats its request.
func (s *shop) comeBack(token string) {
	s.Helper()
	s.set(func() { clear(s.before); clear(s.after) })
	s.onWrite(func(bool) {})
	s.restart()
	a, err := s.checkout("k1", token)
	s.must(err)
	if a.Pending {
		s.Fatal("the client's second try is not decided")
	}
	s.until("the run ends", s.ended(a.Order.ID))
	s.settled(s.state())
	if n := s.count(`SELECT count(*) FROM events WHERE type = 'OrderPlaced'`); n != 1 {
		s.Errorf("%d orders were placed", n)
	}
}

func TestTheSagaCannotEndHalfDone(t *testing.T) {
	if err := checkout.Definition().Check(); err != nil {
		t.Error(err)
	}
}
