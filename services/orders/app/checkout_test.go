package app_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// refused checks that an error is this refusal, and gives it.
func (s *shop) refused(err error, code string) *problem.Error {
	s.Helper()
	if !problem.Is(err, code) {
		s.Fatalf("it gave %v, want the refusal %s", err, code)
	}
	return problem.Of(err)
}

func TestAGoodCheckoutIsConfirmedInTwoCommits(t *testing.T) {
	s := open(t)
	before := s.updates.Load()
	o := s.confirmed("k1")
	if n := s.updates.Load() - before; n != 2 {
		t.Errorf("it took %d updates of the store, want the placement and the decision", n)
	}
	want := []string{"OrderPlaced", "StockHeld", "PaymentAuthorized", "OrderConfirmed"}
	if diff := cmp.Diff(want, s.events(o.ID)); diff != "" {
		t.Error(diff)
	}
	if s.story() != "cart hold pay" {
		t.Errorf("it asked for %s", s.story())
	}
	if r, _ := s.run(o.ID); r.State != saga.Done {
		t.Errorf("its run is %s", r.State)
	}
	if n := s.count(`SELECT count(*) FROM payment_tokens`); n != 0 {
		t.Errorf("%d payment tokens are kept after the decision", n)
	}
}

func TestEventsSayWhenAndForWhomTheyHappened(t *testing.T) {
	s := open(t)
	s.on(s.before, "pay", func() { s.clock.Advance(time.Second) })
	entries, err := s.app.History(context.Background(), s.confirmed("k1").ID)
	s.must(err)
	for i, want := range []struct {
		actor string
		at    time.Time
	}{{"bearer:crt_1", noon}, {"service:orders", noon.Add(time.Second)}, {"service:orders", noon.Add(time.Second)}, {"service:orders", noon.Add(time.Second)}} {
		if m := entries[i].Meta; m.Actor != want.actor || !m.Time.Equal(want.at) || m.Correlation != "req_1" || m.Shop != "shop" {
			t.Errorf("%s is by %s at %v within %s, want %s at %v", entries[i].Type, m.Actor, m.Time, m.Correlation, want.actor, want.at)
		}
	}
}

func TestTheSameKeyGetsTheFirstAnswer(t *testing.T) {
	s := open(t)
	first := s.confirmed("k1")
	delete(s.carts, "crt_1") // not even the cart is needed any more
	for range 2 {
		again, err := s.checkout("k1", "authorized")
		s.must(err)
		if diff := cmp.Diff(first, again.Order); diff != "" || again.Pending {
			t.Errorf("the answer differs: %s", diff)
		}
	}
	_, err := s.app.Checkout(context.Background(), shopper, s.command("k1", "authorized", "another body"))
	if p := s.refused(err, "idempotency_key_reused"); p.Kind != problem.Unprocessable {
		t.Errorf("it is of kind %v", p.Kind)
	}
	if s.asked("pay") != 1 || s.count(`SELECT count(*) FROM events WHERE type = 'OrderPlaced'`) != 1 {
		t.Errorf("it asked for %s", s.story())
	}
}

func TestTheSameKeyAtTheSameTimeMakesOneOrder(t *testing.T) {
	s := open(t)
	const callers = 16
	answers, errs := make([]app.Answer, callers), make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { answers[i], errs[i] = s.checkout("k1", "authorized") })
	}
	all.Wait()
	for i := range callers {
		s.must(errs[i])
		if diff := cmp.Diff(answers[0].Order, answers[i].Order); diff != "" {
			t.Errorf("caller %d got another answer: %s", i, diff)
		}
	}
	if s.asked("pay") != 1 || s.hold(answers[0].Order.ID) != "held" {
		t.Errorf("it asked for %s", s.story())
	}
}

// The first call places, is confirmed and has emptied the cart while the second, with its key, asks for the cart.
func TestTheSameKeyIsAnsweredAlsoWhenTheCartWasEmptiedMeanwhile(t *testing.T) {
	s := open(t)
	var first order.Order
	s.on(s.before, "cart", func() {
		first = s.confirmed("k1")
		s.set(func() {
			s.carts["crt_1"] = app.Cart{Placed: order.Placed{CartID: "crt_1"}, LastOrderID: first.ID}
		})
	})
	second, err := s.checkout("k1", "authorized")
	s.must(err)
	if diff := cmp.Diff(first, second.Order); diff != "" {
		t.Error(diff)
	}
}

func TestACartWithALiveOrderIsRefusedUnderAnotherKey(t *testing.T) {
	s := open(t)
	first := s.confirmed("k1")
	_, err := s.checkout("k2", "authorized")
	p := s.refused(err, "cart_already_ordered")
	if p.Meta["order"] != first.ID || p.RetryAfter == 0 || p.Kind != problem.Conflict {
		t.Errorf("the refusal names %v, again after %v", p.Meta, p.RetryAfter)
	}
	s.carts["crt_1"] = app.Cart{Placed: order.Placed{CartID: "crt_1"}, LastOrderID: first.ID}
	_, err = s.checkout("k3", "authorized")
	if s.refused(err, "cart_already_ordered").Meta["order"] != first.ID {
		t.Error("an emptied cart does not name the order that emptied it")
	}
	again := cart()
	again.LastOrderID = first.ID
	s.carts["crt_1"] = again
	s.confirmed("k4")
}

func TestAnUndecidedOrderOfTheCartIsToldBeforeAnythingElse(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	changed := cart()
	changed.Lines = nil // the shopper has emptied the cart meanwhile
	s.set(func() { s.carts["crt_1"] = changed })
	_, err := s.checkout("k2", "authorized")
	if s.refused(err, "cart_already_ordered").Meta["order"] != o.ID {
		t.Error("it names another order")
	}
}

// A call that has read the cart long ago must not order again what an order in between has bought, even when a
// later order of the same cart was rejected.
func TestACartReadBeforeItsLastOrderIsRefused(t *testing.T) {
	s := open(t)
	var bought order.Order
	s.on(s.after, "cart", func() {
		bought = s.confirmed("k1")
		next := cart()
		next.LastOrderID = bought.ID
		s.set(func() { s.carts["crt_1"] = next })
		_, err := s.checkout("k2", "declined")
		s.must(err)
	})
	_, err := s.checkout("k3", "authorized") // its cart was read before all of this
	if s.refused(err, "cart_already_ordered").Meta["order"] != bought.ID {
		t.Error("it names another order")
	}
	s.confirmed("k4")
}

func TestTheKeyOfAnotherPrincipalIsAnotherKey(t *testing.T) {
	s := open(t)
	first := s.confirmed("k1")
	staff := auth.Principal{Kind: auth.Staff, ID: "key"}
	c := s.command("k1", "authorized", "another body")
	c.Key.Principal = staff.String()
	_, err := s.app.Checkout(context.Background(), staff, c)
	if s.refused(err, "cart_already_ordered").Meta["order"] != first.ID {
		t.Error("it names another order")
	}
}

func TestOnlyTheCartsOwnerAndStaffMayOrderIt(t *testing.T) {
	s := open(t)
	for _, p := range []auth.Principal{{}, {Kind: auth.Bearer, ID: "crt_2"}, {Kind: auth.Service, ID: "carts"}} {
		_, err := s.app.Checkout(context.Background(), p, s.command("k1", "authorized", "body"))
		s.refused(err, "cart_not_found")
	}
	if s.story() != "" {
		t.Errorf("it asked for %s", s.story())
	}
}

func TestARefusalLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		given string
		spoil func(*shop, *app.Command)
		code  string
	}{
		{"a total that is not what the shopper saw", func(_ *shop, c *app.Command) { m := money.Of(904, "GBP"); c.Expected = &m }, "price_changed"},
		{"a total in another currency", func(_ *shop, c *app.Command) { m := money.Of(905, "EUR"); c.Expected = &m }, "price_changed"},
		{"no payment token", func(_ *shop, c *app.Command) { c.Token = "" }, "invalid_request"},
		{"a token that is too long", func(_ *shop, c *app.Command) { c.Token = strings.Repeat("x", 201) }, "invalid_request"},
		{"a provider that is no name", func(_ *shop, c *app.Command) { c.Provider = "a b" }, "invalid_request"},
		{"something not for sale", func(s *shop, _ *app.Command) { s.cartErr = problem.New(problem.Conflict, "not_for_sale", "gone") }, "not_for_sale"},
		{"carts is away", func(s *shop, _ *app.Command) { s.away["cart"] = 1 }, "unavailable"},
		{"sums that do not add up", func(s *shop, _ *app.Command) { c := cart(); c.Totals.Total++; s.carts["crt_1"] = c }, "totals_do_not_add_up"},
		{"nothing to pay", func(s *shop, _ *app.Command) { s.carts["crt_1"] = free() }, "nothing_to_pay"},
	} {
		t.Run(c.given, func(t *testing.T) {
			s := open(t)
			command := s.command("k1", "authorized", "body")
			c.spoil(s, &command)
			_, err := s.app.Checkout(context.Background(), shopper, command)
			s.refused(err, c.code)
			for _, table := range []string{"events", "idem_keys", "live_carts", "saga_runs", "payment_tokens"} {
				if n := s.count(`SELECT count(*) FROM ` + table); n != 0 {
					t.Errorf("%d rows in %s", n, table)
				}
			}
		})
	}
}

func free() app.Cart {
	c := cart()
	c.Lines[0].UnitPrice, c.Lines[0].Tax, c.Lines[0].Total = 0, 0, 0
	c.Shipping.Price, c.Shipping.Tax = 0, 0
	c.Totals = order.Totals{TaxInclusive: true}
	return c
}

func TestADeclineReleasesTheHoldAndFreesTheCart(t *testing.T) {
	s := open(t)
	a, err := s.checkout("k1", "declined")
	s.must(err)
	if o := a.Order; o.Status != order.Rejected || o.Rejection.Code != "payment_declined" || o.Rejection.Detail != "insufficient_funds" {
		t.Errorf("the order is %s: %+v", o.Status, o.Rejection)
	}
	s.until("the run ends", s.ended(a.Order.ID))
	if s.hold(a.Order.ID) != "released" || s.asked("cancel") != 0 {
		t.Errorf("it asked for %s", s.story())
	}
	again, err := s.checkout("k1", "declined")
	s.must(err)
	if diff := cmp.Diff(a.Order, again.Order); diff != "" {
		t.Errorf("the key's answer differs: %s", diff)
	}
	s.confirmed("k2")
}

func TestASoldOutOrderNamesTheLinesAndFreesTheCart(t *testing.T) {
	s := open(t)
	s.left["85123A"] = 1
	a, err := s.checkout("k1", "authorized")
	s.must(err)
	want := []order.Short{{SKU: "85123A", Message: "only 1 left"}}
	if diff := cmp.Diff(want, a.Order.Rejection.Lines); diff != "" || a.Order.Rejection.Code != "sold_out" {
		t.Errorf("it is %s: %s", a.Order.Rejection.Code, diff)
	}
	s.until("the run ends", s.ended(a.Order.ID))
	if s.asked("pay")+s.asked("release") != 0 {
		t.Errorf("it asked for %s", s.story())
	}
	s.set(func() { s.left["85123A"] = 2 })
	s.confirmed("k2")
}

func TestAnUndecidedAnswerIsNotKept(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	waiting := s.callLater("k1", "unknown")
	s.pass(time.Second, "the second call has waited", func() bool { return len(waiting) > 0 })
	p := s.refused(<-waiting, "in_progress")
	if p.Meta["order"] != o.ID || p.RetryAfter == 0 || p.Kind != problem.Conflict {
		t.Errorf("the refusal names %v, again after %v", p.Meta, p.RetryAfter)
	}
}

func TestUnknownIsSettledByTheEvent(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.set(func() { s.payments[o.ID].state = "authorized" })
	s.hear(o.ID, seen(o.ID, "authorized"))
	again, err := s.checkout("k1", "unknown")
	s.must(err)
	if again.Order.Status != order.Confirmed || again.Order.ID != o.ID {
		t.Errorf("the key's answer is %s, order %s", again.Order.Status, again.Order.ID)
	}
	s.until("the run ends", s.ended(o.ID))
}

func TestUnknownIsSettledByAsking(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.set(func() { s.payments[o.ID].state = "authorized" })
	s.pass(time.Second, "the run ends", s.ended(o.ID))
	again, err := s.checkout("k1", "unknown")
	s.must(err)
	if again.Order.Status != order.Confirmed || s.clock.Now().After(noon.Add(time.Minute)) {
		t.Errorf("at %v it is %s", s.clock.Now(), again.Order.Status)
	}
}

func TestAWaitingCallHearsTheDecision(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	answer := make(chan app.Answer, 1)
	go func() {
		a, _ := s.checkout("k1", "unknown")
		answer <- a
	}()
	time.Sleep(5 * time.Millisecond) // it may wait by now, or not: both must do
	s.hear(o.ID, seen(o.ID, "authorized"))
	if a := <-answer; a.Order.Status != order.Confirmed {
		t.Errorf("it heard %s", a.Order.Status)
	}
}

func TestAtItsDeadlineAnUndecidedOrderIsRejectedAndUndone(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.pass(10*time.Second, "the run ends", s.ended(o.ID))
	calls := strings.Fields(s.story())
	again, err := s.checkout("k1", "unknown")
	s.must(err)
	if again.Order.Rejection.Code != "payment_unresolved" {
		t.Errorf("it is %s: %+v", again.Order.Status, again.Order.Rejection)
	}
	if !slices.Equal(calls[len(calls)-2:], []string{"cancel", "release"}) {
		t.Errorf("it asked for %s, want to end with the payment, then the hold", s.story())
	}
	s.confirmed("k2")
}

func TestAuthorizedAfterTheRejectionIsVoidedOnce(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.pass(10*time.Second, "the run ends", s.ended(o.ID))
	s.set(func() { s.payments[o.ID].state = "authorized" }) // the provider has changed its mind
	for range 3 {
		s.hear(o.ID, seen(o.ID, "authorized"))
	}
	s.until("the run ends again", s.ended(o.ID))
	s.hear(o.ID, order.Undone{Step: order.StepPay, Outcome: "voided"}, seen(o.ID, "authorized"))
	if p := s.payment(o.ID); p.voids != 1 {
		t.Errorf("it was voided %d times", p.voids)
	}
	if o := s.state(); o.Status != order.Rejected || o.Payment != order.PaymentVoided || len(o.Undo) != 0 {
		t.Errorf("the order is %s, its payment %s, to undo %v", o.Status, o.Payment, o.Undo)
	}
}

// The cancellation says "nothing there" and, before that is written down, the money turns up.
func TestMoneyThatTurnsUpDuringTheCancellationIsVoided(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.on(s.after, "cancel", func() {
		s.set(func() { s.payments[o.ID].state = "authorized" })
		s.hear(o.ID, seen(o.ID, "authorized"))
	})
	s.pass(10*time.Second, "the run ends", s.ended(o.ID))
	if p := s.payment(o.ID); p.state != "voided" {
		t.Errorf("the payment is %s; it asked for %s", p.state, s.story())
	}
}

func TestAnEndedRunThatWasSweptIsBegunAnewForLateMoney(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	s.pass(10*time.Second, "the run ends", s.ended(o.ID))
	s.must(s.forget(o.ID))
	facts, _, err := s.app.Facts(context.Background(), 0, 10)
	s.must(err)
	if facts[0].RunState != "" {
		t.Errorf("the run is told to be %q", facts[0].RunState)
	}
	s.set(func() { s.payments[o.ID].state = "authorized" })
	s.hear(o.ID, seen(o.ID, "authorized"))
	s.until("the payment is voided", func() bool { return s.payment(o.ID).state == "voided" })
}

// A room that is away for longer than a run has attempts costs the shopper time, not an operator's work.
func TestAnUndecidedOrderIsNotParkedWhileARoomIsAway(t *testing.T) {
	for _, call := range []string{"hold", "pay"} {
		t.Run(call, func(t *testing.T) {
			s := open(t)
			s.away[call] = 15
			s.callLater("k1", "authorized")
			s.until("it has failed", func() bool { return s.asked(call) > 0 })
			id := s.state().ID
			s.pass(time.Second, "the run ends", s.ended(id))
			if o := s.state(); o.Status != order.Confirmed {
				t.Errorf("the order is %s", o.Status)
			}
		})
	}
}

func TestARoomThatStaysAwayEndsInARejectionAtTheDeadline(t *testing.T) {
	s := open(t)
	s.away["pay"] = 1_000_000
	s.callLater("k1", "authorized")
	s.until("it has failed", func() bool { return s.asked("pay") > 0 })
	id := s.state().ID
	s.pass(10*time.Second, "the run ends", s.ended(id))
	if o := s.state(); o.Rejection.Code != "payment_unresolved" || s.hold(id) != "released" || s.payment(id).tombstones != 1 {
		t.Errorf("the order is %s: %+v", o.Status, o.Rejection)
	}
}

func TestACallerWhoLeavesIsAnsweredThatItGoesOn(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.on(s.before, "pay", cancel)
	a, err := s.app.Checkout(ctx, shopper, s.command("k1", "authorized", "body"))
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err == nil && !a.Pending && a.Order.Status != order.Confirmed {
		t.Errorf("it answered %s", a.Order.Status)
	}
	s.until("the run ends all the same", s.ended(s.state().ID))
}

func TestAnAnswerComesBeforeTheCallersOwnDeadline(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.on(s.before, "cart", func() { go s.pass(10*time.Millisecond, "time goes by", func() bool { return ctx.Err() != nil }) })
	a, err := s.app.Checkout(ctx, shopper, s.command("k1", "unknown", "body"))
	if err != nil || !a.Pending || ctx.Err() != nil {
		t.Errorf("it answered %v, pending %v, the caller's time over: %v", err, a.Pending, ctx.Err())
	}
	<-ctx.Done()
}

func TestARepeatedRequestIsAnsweredWhileCartsHangs(t *testing.T) {
	s := open(t)
	first := s.confirmed("k1")
	s.set(func() { s.hang["cart"] = true })
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	again, err := s.app.Checkout(ctx, shopper, s.command("k1", "authorized", "body"))
	s.must(err)
	if diff := cmp.Diff(first, again.Order); diff != "" {
		t.Error(diff)
	}
}
