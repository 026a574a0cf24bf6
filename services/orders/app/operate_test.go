package app_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

// resolve is what an operator does.
func (s *shop) resolve(id, action, reason string) error {
	return s.app.Resolve(context.Background(), app.Resolution{
		RunID: id, Action: action, Reason: reason, Meta: eventlog.Meta{Shop: "shop", Actor: "staff:key"},
	})
}

// parked is an order whose payment cannot be cancelled, so that its run is parked.
func (s *shop) parked(hanging string) order.Order {
	s.Helper()
	o := s.undecided("k1")
	s.set(func() { s.away[hanging] = 1000 })
	s.pass(5*time.Second, "the run is parked", func() bool {
		r, _ := s.run(o.ID)
		return r.State == saga.Parked
	})
	s.set(func() { s.away[hanging] = 0 })
	return o
}

func TestACancellationThatNeverSucceedsIsParkedAfterItsBound(t *testing.T) {
	s := open(t)
	o := s.parked("cancel")
	// An attempt that follows the rejection in one go is not counted, because the rejection was saved: that is progress.
	// Whether one does depends on whether the deadline came while the payment was asked for, or between two looks at it.
	if n := s.asked("cancel"); n != checkout.StepAttempts && n != checkout.StepAttempts+1 {
		t.Errorf("it was asked %d times, want %d, or one more", n, checkout.StepAttempts)
	}
	r, audit := s.run(o.ID)
	if r.Step != "pay" || r.Resume != saga.Compensating || len(audit) != 1 || audit[0].Action != "park" {
		t.Errorf("the run is parked at %s, to resume %s, audit %+v", r.Step, r.Resume, audit)
	}
	if again, err := s.checkout("k1", "unknown"); err != nil || again.Order.Rejection.Code != "payment_unresolved" {
		t.Errorf("the shopper hears %+v, %v: the decision stands all the same", again.Order.Rejection, err)
	}
}

func TestAHangingCancellationIsCutShortAndTriedAgain(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.set(func() { s.hang["cancel"] = true })
	s.pass(10*time.Second, "it hangs", func() bool { return s.asked("cancel") > 0 })
	s.set(func() { delete(s.hang, "cancel") })
	s.restart() // a drain that runs out of time cancels the step
	s.pass(time.Second, "the run ends", s.ended(o.ID))
	if r, _ := s.run(o.ID); r.LastError != "" || s.payment(o.ID).state != "failed" {
		t.Errorf("the payment is %s, the run says %q", s.payment(o.ID).state, r.LastError)
	}
}

func TestAnOperatorRetries(t *testing.T) {
	s := open(t)
	o := s.parked("cancel")
	s.must(s.resolve(o.ID, "retry", ""))
	s.pass(time.Second, "the run ends", s.ended(o.ID))
	_, audit := s.run(o.ID)
	if last := audit[len(audit)-1]; last.Action != "retry" || last.Actor != "staff:key" || s.hold(o.ID) == "held" {
		t.Errorf("audit %+v, the hold is %s", last, s.hold(o.ID))
	}
}

func TestAnOperatorSkipsOneStep(t *testing.T) {
	s := open(t)
	o := s.parked("cancel")
	asked := s.asked("cancel")
	s.must(s.resolve(o.ID, "skip", "the bank has settled it"))
	s.pass(time.Second, "the run ends", s.ended(o.ID))
	if s.asked("cancel") != asked || s.hold(o.ID) != "released" {
		t.Errorf("it asked for %s", s.story())
	}
	entries, err := s.app.History(context.Background(), o.ID)
	s.must(err)
	i := slices.IndexFunc(entries, func(e app.Entry) bool { return e.Type == "UndoSkipped" })
	if i < 0 || entries[i].Meta.Reason != "the bank has settled it" || entries[i].Meta.Actor != "staff:key" {
		t.Errorf("the history does not tell who skipped it and why: %v", s.events(o.ID))
	}
	if _, audit := s.run(o.ID); audit[1].Action != "skip" || audit[1].Reason != "the bank has settled it" {
		t.Errorf("audit %+v", audit)
	}
}

// Money that turned up after the rejection stands behind the hold in what is to be undone.
func TestSkippingTheHoldDoesNotForgetTheMoney(t *testing.T) {
	s := open(t)
	o := s.parked("release")
	s.set(func() { s.payments[o.ID].state = "authorized" })
	s.hear(o.ID, seen(o.ID, "authorized"))
	s.must(s.resolve(o.ID, "skip", "counted by hand"))
	s.pass(time.Second, "the run ends", s.ended(o.ID))
	if p := s.payment(o.ID); p.state != "voided" {
		t.Errorf("the payment is %s; it asked for %s", p.state, s.story())
	}
}

func TestAnOperatorAbandons(t *testing.T) {
	s := open(t)
	o := s.parked("cancel")
	s.must(s.resolve(o.ID, "abandon", "written off"))
	r, audit := s.run(o.ID)
	if r.State != saga.Abandoned || audit[len(audit)-1].Action != "abandon" {
		t.Errorf("the run is %s, audit %+v", r.State, audit)
	}
	if o := s.state(); len(o.Undo) != 0 || len(o.Rejection.Skipped) != 2 || s.asked("release") != 0 {
		t.Errorf("to undo %v, left out %v; it asked for %s", o.Undo, o.Rejection.Skipped, s.story())
	}
	s.set(func() { s.payments[o.ID].state = "authorized" }) // nobody has abandoned what was not there yet
	s.hear(o.ID, seen(o.ID, "authorized"))
	s.until("the run ends", s.ended(o.ID))
	if p := s.payment(o.ID); p.voids != 1 || s.asked("release") != 0 {
		t.Errorf("it was voided %d times; it asked for %s", p.voids, s.story())
	}
}

func TestAParkedRunGoesOnWhenItsObstacleIsGone(t *testing.T) {
	s := open(t)
	o := s.parked("cancel")
	s.hear(o.ID, order.Unknown{IntentID: "pay_" + o.ID})
	if r, _ := s.run(o.ID); r.State != saga.Parked {
		t.Errorf("old news has made the run %s", r.State)
	}
	s.hear(o.ID, order.Undone{Step: order.StepPay, Outcome: "voided"})
	s.until("the run ends", s.ended(o.ID))
	if s.hold(o.ID) != "released" {
		t.Errorf("the hold is %s", s.hold(o.ID))
	}
}

func TestOperatorsAreRefusedWhatMakesNoSense(t *testing.T) {
	s := open(t)
	done := s.confirmed("k1")
	for _, c := range []struct{ given, id, action, reason, code string }{
		{"a run that is not there", "ord_9", "skip", "why not", "run_not_found"},
		{"a run that is not there", "ord_9", "retry", "", "run_not_found"},
		{"a run that is not parked", done.ID, "retry", "", "run_not_parked"},
		{"a run that is not parked", done.ID, "skip", "why not", "run_not_parked"},
		{"a run that is not parked", done.ID, "abandon", "why not", "run_not_parked"},
		{"no reason", done.ID, "abandon", "", "invalid_request"},
		{"no such action", done.ID, "explode", "", "invalid_request"},
	} {
		err := s.resolve(c.id, c.action, c.reason)
		s.refused(err, c.code)
		if c.code == "invalid_request" && problem.Of(err).Violations[0].Field == "" {
			t.Errorf("%s: the refusal names no field", c.given)
		}
	}
}

// Only a fault of the program parks an order that is not decided; an operator can retry it, nothing else.
func TestAnUndecidedOrderIsNeitherSkippedNorAbandoned(t *testing.T) {
	s := open(t)
	panics := make(chan bool, 1)
	s.set(func() { s.before["pay"] = func() { panics <- true; panic("a fault") } })
	s.callLater("k1", "authorized")
	s.pass(5*time.Second, "the run is parked", func() bool {
		select {
		case <-panics:
		default:
		}
		id := s.state().ID
		if id == "" {
			return false
		}
		r, _ := s.run(id)
		return r.State == saga.Parked
	})
	o := s.state()
	s.refused(s.resolve(o.ID, "skip", "why not"), "not_skippable")
	s.refused(s.resolve(o.ID, "abandon", "why not"), "not_skippable")
	if now := s.state(); now.Version != o.Version {
		t.Errorf("a refusal has left events: %v", s.events(o.ID))
	}
	s.set(func() { delete(s.before, "pay") })
	s.clock.Set(o.Deadline)
	s.must(s.store.Update(context.Background(), overdue(s, o.ID)))
	s.pass(time.Second, "the decision sets the run free", s.ended(o.ID))
	if s.state().Rejection.Code != "payment_unresolved" || s.hold(o.ID) != "released" {
		t.Errorf("the order is %s, the hold %s", s.state().Status, s.hold(o.ID))
	}
}
