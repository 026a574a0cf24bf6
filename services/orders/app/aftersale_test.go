package app_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/services/orders/aftersale"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

var clerk = auth.Principal{Kind: auth.Staff, ID: "key"}

func (s *shop) meta() eventlog.Meta {
	return eventlog.Meta{Shop: "shop", Actor: clerk.String(), Correlation: "req_2", Time: s.clock.Now()}
}

func (s *shop) key(method, key, body string) idem.Key {
	return idem.Key{Shop: "shop", Principal: clerk.String(), Method: method, Key: key, Digest: sha256.Sum256([]byte(body))}
}

// parcel is what shipping publishes of an order whose two pieces have left.
func (s *shop) parcel(orderID string) order.Event {
	left := []order.Piece{{Line: 1, Quantity: 2}}
	s.set(func() { s.parcels[orderID] = left })
	return order.Dispatched{ParcelID: "prc_1", Pieces: left, At: noon}
}

// stands is the order as its stream tells it.
func (s *shop) stands() *order.Order {
	s.Helper()
	o := s.state()
	return &o
}

// calm tells whether the after-sale run of an order is over.
func (s *shop) calm(orderID string) func() bool {
	return func() bool {
		r, _, err := s.app.Run(context.Background(), aftersale.RunID(orderID))
		return err == nil && r.State == saga.Done
	}
}

// sold is an order that is confirmed, gone and paid.
func (s *shop) sold(key string) order.Order {
	s.Helper()
	o := s.confirmed(key)
	s.hear(o.ID, s.parcel(o.ID))
	s.until("the money is taken", s.calm(o.ID))
	return s.state()
}

func (s *shop) cancelOrder(orderID string) (order.Order, error) {
	return s.app.Cancel(context.Background(), clerk, orderID, "changed my mind", s.meta())
}

func (s *shop) returned(orderID, key string, r order.Opening) (order.Order, string, error) {
	return s.app.OpenReturn(context.Background(), clerk, orderID, r, &order.Receipt{At: noon}, s.key("return", key, fmt.Sprint(r)), s.meta())
}

func (s *shop) refunded(orderID, key string, amount int64) (order.Refund, error) {
	return s.app.Refund(context.Background(), clerk, orderID, amount, "goodwill", s.key("refund", key, fmt.Sprint(amount)), s.meta())
}

func TestWhatLeavesIsTakenOnce(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	gone := s.parcel(o.ID)
	s.hear(o.ID, gone, gone)
	s.until("the money is taken", s.calm(o.ID))
	if o = s.state(); o.PaymentState() != "captured" || o.Taken() != 905 || s.asked("capture") != 1 {
		t.Errorf("the order is %s with %d taken, after %d calls", o.PaymentState(), o.Taken(), s.asked("capture"))
	}
	s.hear(o.ID, order.Captured{ID: o.Captures[0].ID, Amount: 905}) // the event of what the run has heard already
	if v := s.state().Version; v != o.Version {
		t.Errorf("an event that tells nothing new was recorded: version %d, was %d", v, o.Version)
	}
}

func TestMoneyThatIsDueIsVisibleAndTriedAgain(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.set(func() { s.refuse["capture"] = 3 })
	s.hear(o.ID, s.parcel(o.ID))
	s.until("the payment is due", func() bool { return s.stands().PaymentState() == "payment_due" })
	if !slices.Contains(s.events(o.ID), "CaptureFailed") {
		t.Error("the history does not say why")
	}
	s.pass(time.Minute, "the money is taken after all", s.calm(o.ID))
	if o = s.state(); o.PaymentState() != "captured" || len(o.Captures) != 1 || s.asked("capture") != 4 {
		t.Errorf("the order is %s by %d captures in %d calls", o.PaymentState(), len(o.Captures), s.asked("capture"))
	}
	if n := strings.Count(strings.Join(s.events(o.ID), " "), "CaptureFailed"); n != 1 {
		t.Errorf("a failure that repeats was recorded %d times", n)
	}
}

func TestStaffTriesAgainAtOnceWhatIsDue(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.set(func() { s.refuse["capture"] = 1 })
	s.hear(o.ID, s.parcel(o.ID))
	s.until("the payment is due", func() bool { return s.stands().PaymentState() == "payment_due" })
	s.until("the run waits", func() bool {
		r, _ := s.run(aftersale.RunID(o.ID))
		return r.NextAt.After(s.clock.Now())
	})
	_, err := s.app.Capture(context.Background(), clerk, o.ID, 0, s.key("capture", "c1", ""), s.meta())
	s.must(err)
	s.until("the money is taken without waiting", s.calm(o.ID))
	if o = s.state(); len(o.Captures) != 1 || o.Taken() != 905 {
		t.Errorf("%d captures, %d taken", len(o.Captures), o.Taken())
	}
}

func TestACaptureWhoseOutcomeIsUnknownIsAskedAgain(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.set(func() { s.silent["capture"] = 2 })
	s.hear(o.ID, s.parcel(o.ID))
	s.pass(time.Second, "it is known", s.calm(o.ID))
	if o = s.state(); o.Taken() != 905 || s.captured[o.Captures[0].ID].times != 1 {
		t.Errorf("%d taken, %+v", o.Taken(), s.captured)
	}
}

func TestACaptureThatIsRefusedForEverIsParkedAndGoesOnByRetry(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.set(func() { s.refuse["capture"] = aftersale.StepAttempts })
	s.hear(o.ID, s.parcel(o.ID))
	id := aftersale.RunID(o.ID)
	s.pass(time.Hour, "it is parked", func() bool { r, _ := s.run(id); return r.State == saga.Parked })
	if s.stands().PaymentState() != "payment_due" {
		t.Error("the payment is not due")
	}
	s.must(s.resolve(id, "retry", ""))
	s.until("the money is taken", s.calm(o.ID))
}

func TestAnOperatorLeavesOutWhatCannotBeTaken(t *testing.T) {
	for _, action := range []string{"skip", "abandon"} {
		s := open(t)
		o := s.confirmed("k1")
		s.set(func() { s.refuse["capture"] = 10 * aftersale.StepAttempts })
		s.hear(o.ID, s.parcel(o.ID))
		id := aftersale.RunID(o.ID)
		s.pass(time.Hour, "it is parked", func() bool { r, _ := s.run(id); return r.State == saga.Parked })
		s.must(s.resolve(id, action, "written off"))
		if o := s.stands(); o.Unsettled() || o.Captures[0].State != order.MoneyDropped || o.PaymentState() == "payment_due" {
			t.Errorf("%s: the order is %s, its capture %+v", action, o.PaymentState(), o.Captures[0])
		}
		if r, _ := s.run(id); r.State.Active() || r.State == saga.Parked {
			t.Errorf("%s: the run is %s", action, r.State)
		}
	}
}

func TestARefundThatIsParkedHoldsNoOtherMoneyUp(t *testing.T) {
	s := open(t)
	o := s.sold("k1")
	s.set(func() { s.refuse["refund"] = aftersale.StepAttempts })
	_, err := s.refunded(o.ID, "f1", 100)
	s.must(err)
	s.pass(time.Hour, "it is parked", func() bool { r, _ := s.run(aftersale.RunID(o.ID)); return r.State == saga.Parked })
	second, err := s.refunded(o.ID, "f2", 200)
	s.must(err)
	s.until("the other one is made", func() bool { return s.stands().Refund(second.ID).State == order.MoneyDone })
}

func TestARefundIsNotSentBeforeItsDecisionIsDurable(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.set(func() { s.silent["capture"] = 6 })
	_, err := s.app.Capture(context.Background(), clerk, o.ID, 0, s.key("capture", "c1", ""), s.meta())
	s.must(err)
	s.until("the capture is asked for", func() bool { return s.asked("capture") > 0 })
	s.set(func() { s.parcels[o.ID] = []order.Piece{{Line: 1, Quantity: 1}} })
	s.hear(o.ID, order.Dispatched{ParcelID: "prc_1", Pieces: []order.Piece{{Line: 1, Quantity: 1}}, At: noon})
	durable := make(chan bool, 1)
	s.on(s.before, "refund", func() { durable <- slices.Contains(s.events(o.ID), "RefundRequested") })
	_, err = s.cancelOrder(o.ID) // of the other piece: what was taken for it comes back
	s.must(err)
	s.pass(time.Second, "all is settled", func() bool { return s.calm(o.ID)() && !s.stands().Unsettled() })
	select {
	case first := <-durable:
		if !first {
			t.Error("payments was asked before the refund was recorded")
		}
	default:
		t.Errorf("no refund was made; the order has %v", s.events(o.ID))
	}
	if s.givenBack(o.ID) != 255 || s.taken(o.ID) != 905 {
		t.Errorf("%d of %d was given back", s.givenBack(o.ID), s.taken(o.ID))
	}
}

func TestAnAuthorizationThatLapsesIsSeen(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.set(func() { s.payments[o.ID].state = "voided" })
	s.hear(o.ID, order.Undone{Step: order.StepPay, Outcome: "voided"})
	if got := s.stands().PaymentState(); got != "voided" {
		t.Errorf("the payment is %s", got)
	}
}

func TestACancellationLetsEverythingGo(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	o, err := s.cancelOrder(o.ID)
	s.must(err)
	if o.Status != order.Canceled || o.Cancellation.Code != order.CancelGranted {
		t.Fatalf("the order is %s", o.Status)
	}
	s.until("all is undone", s.calm(o.ID))
	if p := s.payment(o.ID); p.voids != 1 || s.released[o.ID+"/cancel"] != 2 || s.asked("stop") != 1 {
		t.Errorf("%d voids, %d pieces given back, shipping asked %d times", p.voids, s.released[o.ID+"/cancel"], s.asked("stop"))
	}
	again, err := s.cancelOrder(o.ID)
	if err != nil || again.Status != order.Canceled || s.asked("stop") != 1 {
		t.Errorf("canceling again gave %s, %v", again.Status, err)
	}
}

func TestACancellationThatComesAfterTheParcelIsTold(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	gone := s.parcel(o.ID) // shipping knows, orders does not yet
	_, err := s.cancelOrder(o.ID)
	if !problem.Is(err, "already_dispatched") {
		t.Fatalf("it gave %v", err)
	}
	s.hear(o.ID, gone)
	s.until("the money is taken", s.calm(o.ID))
	if o = s.state(); o.Status != order.Confirmed || o.Taken() != 905 || s.payment(o.ID).voids != 0 || len(s.released) != 0 {
		t.Errorf("the order is %s, %d taken, %d voids, %v given back", o.Status, o.Taken(), s.payment(o.ID).voids, s.released)
	}
	_, err = s.cancelOrder(o.ID)
	if !problem.Is(err, "already_dispatched") {
		t.Errorf("canceling what has left gave %v", err)
	}
}

func TestACancellationIsAnsweredAsUndecidedWhileShippingIsAway(t *testing.T) {
	s := open(t)
	o := s.confirmed("k1")
	s.set(func() { s.away["stop"] = 3 })
	answer := make(chan order.Order, 1)
	s.callers.Go(func() { o, _ := s.cancelOrder(o.ID); answer <- o })
	s.until("shipping is asked", func() bool { return s.asked("stop") > 0 })
	s.clock.Advance(10 * time.Second)
	if o := <-answer; o.Status != order.Canceling && o.Status != order.Canceled {
		t.Errorf("the order is %s", o.Status)
	}
	s.pass(time.Second, "it is canceled", func() bool { return s.state().Status == order.Canceled })
}

func TestAnUndecidedOrderIsCanceledAtOnce(t *testing.T) {
	s := open(t)
	o := s.undecided("k1")
	o, err := s.cancelOrder(o.ID)
	s.must(err)
	if o.Status != order.Rejected || o.Rejection.Code != order.RejectCanceled {
		t.Fatalf("the order is %s", o.Status)
	}
	s.until("all is undone", s.ended(o.ID))
	if s.hold(o.ID) != "released" || s.payment(o.ID).state == "authorized" {
		t.Errorf("hold %s, payment %s", s.hold(o.ID), s.payment(o.ID).state)
	}
	a, err := s.checkout("k2", "authorized")
	if err != nil || a.Order.Status != order.Confirmed {
		t.Errorf("the cart is not free: %v", err)
	}
}

// Rule 9: cancel and capture are decided on the order's stream, one after the other, whoever comes first.
func TestCancelAndCaptureNeverBothWin(t *testing.T) {
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := open(t)
			o := s.confirmed("k1")
			var both sync.WaitGroup
			var captureErr error
			both.Go(func() {
				_, captureErr = s.app.Capture(context.Background(), clerk, o.ID, 0, s.key("capture", "c1", ""), s.meta())
			})
			both.Go(func() { _, err := s.cancelOrder(o.ID); s.must(err) })
			both.Wait()
			if captureErr != nil && !problem.Is(captureErr, "order_canceled") {
				t.Fatalf("the capture gave %v", captureErr)
			}
			s.until("all is settled", func() bool { o := s.state(); return !o.Unsettled() })
			end := s.state()
			if end.Status != order.Canceled || s.taken(o.ID) != s.givenBack(o.ID) || s.payment(o.ID).voids == 0 && s.givenBack(o.ID) == 0 {
				t.Errorf("the order is %s, %d taken and %d given back, %d voids", end.Status, s.taken(o.ID), s.givenBack(o.ID), s.payment(o.ID).voids)
			}
		})
	}
}

// Rule 10: what may come back, in pieces and in money, is decided once for each piece and each minor unit.
func TestReturnsAndRefundsAtOnceGiveBackNoMoreThanWasTaken(t *testing.T) {
	s := open(t)
	o := s.sold("k1")
	var all sync.WaitGroup
	var returns, refunds atomic.Int64
	for i := range 8 {
		all.Go(func() {
			if _, _, err := s.returned(o.ID, fmt.Sprint("r", i), order.Opening{Lines: []order.ReturnedLine{{Line: 1, Quantity: 1}}}); err == nil {
				returns.Add(1)
			} else if !problem.Is(err, "not_returnable") {
				t.Error(err)
			}
		})
		all.Go(func() {
			if _, err := s.refunded(o.ID, fmt.Sprint("f", i), 500); err == nil {
				refunds.Add(1)
			} else if !problem.Is(err, "not_refundable") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.until("all is settled", func() bool { o := s.state(); return !o.Unsettled() })
	end := s.state()
	if returns.Load() != 2 || end.Parts[0].Returned != 2 {
		t.Errorf("%d returns of 2 pieces", returns.Load())
	}
	if end.GivenBack() > end.Taken() || s.givenBack(o.ID) != end.GivenBack() {
		t.Errorf("%d given back of %d", end.GivenBack(), end.Taken())
	}
}

func TestACommandHeardTwiceUnderOneKeyHasOneEffectAndOneAnswer(t *testing.T) {
	s := open(t)
	o := s.sold("k1")
	r := order.Opening{Reason: "broken", Lines: []order.ReturnedLine{{Line: 1, Quantity: 1, WriteOff: true}}}
	_, first, err := s.returned(o.ID, "r1", r)
	s.must(err)
	_, second, err := s.returned(o.ID, "r1", r)
	s.must(err)
	if first != second || s.state().Parts[0].Returned != 1 {
		t.Errorf("two returns, %s and %s", first, second)
	}
	one, err := s.refunded(o.ID, "f1", 100)
	s.must(err)
	two, err := s.refunded(o.ID, "f1", 100)
	s.must(err)
	if one != two {
		t.Errorf("two refunds, %+v and %+v", one, two)
	}
	if _, err := s.refunded(o.ID, "f1", 200); !problem.Is(err, "idempotency_key_reused") {
		t.Errorf("another amount under the key gave %v", err)
	}
	s.until("all is settled", func() bool { o := s.state(); return !o.Unsettled() })
	if got := s.givenBack(o.ID); got != 355 {
		t.Errorf("%d given back, want 255 for the piece and 100", got)
	}
}

func TestARefundThatIsRefusedIsTriedUnderTheSameId(t *testing.T) {
	s := open(t)
	o := s.sold("k1")
	s.set(func() { s.refuse["refund"], s.silent["refund"] = 2, 1 })
	r, err := s.refunded(o.ID, "f1", 100)
	s.must(err)
	s.pass(time.Minute, "it is given back", func() bool { return s.stands().GivenBack() == 100 })
	if s.refunds[r.ID].times != 1 || len(s.refunds) != 1 {
		t.Errorf("the provider made %+v", s.refunds)
	}
}

func TestAReturnOfAnotherReceiptAndItsClosing(t *testing.T) {
	s := open(t)
	o := s.sold("k1")
	ctx := context.Background()
	_, id, err := s.app.OpenReturn(ctx, shopper, o.ID, order.Opening{Reason: "too small"}, nil, s.key("return", "r1", ""), s.meta())
	s.must(err)
	stranger := auth.Principal{Kind: auth.Bearer, ID: "crt_2"}
	if _, _, err := s.app.OpenReturn(ctx, stranger, o.ID, order.Opening{}, nil, s.key("return", "r2", ""), s.meta()); !problem.Is(err, "order_not_found") {
		t.Errorf("a stranger's return gave %v", err)
	}
	_, err = s.app.CloseReturn(ctx, clerk, o.ID, id, "never came", s.meta())
	s.must(err)
	if _, err := s.app.ReceiveReturn(ctx, clerk, o.ID, order.Receipt{ID: id, At: noon}, s.meta()); !problem.Is(err, "return_closed") {
		t.Errorf("receiving a closed return gave %v", err)
	}
	less := int64(100)
	_, id, err = s.app.OpenReturn(ctx, clerk, o.ID, order.Opening{}, nil, s.key("return", "r3", ""), s.meta())
	s.must(err)
	more := int64(511)
	if _, err := s.app.ReceiveReturn(ctx, clerk, o.ID, order.Receipt{ID: id, At: noon, Refund: &more}, s.meta()); !problem.Is(err, "refund_above_share") {
		t.Errorf("more than the share gave %v", err)
	}
	end, err := s.app.ReceiveReturn(ctx, clerk, o.ID, order.Receipt{ID: id, At: noon, Refund: &less}, s.meta())
	s.must(err)
	if r := end.Return(id); r.State != order.ReturnIsReceived || r.Refund != 100 {
		t.Errorf("it is %+v", r)
	}
	s.until("all is settled", func() bool { o := s.state(); return !o.Unsettled() })
	if s.givenBack(o.ID) != 100 {
		t.Errorf("%d given back", s.givenBack(o.ID))
	}
}

func TestStoreCreditIsAStepOfItsOwn(t *testing.T) {
	s := open(t)
	s.set(func() { s.wallet = 500 })
	c := s.command("k1", "authorized", "body")
	c.Credit = gbp(300)
	a, err := s.app.Checkout(context.Background(), shopper, c)
	s.must(err)
	if a.Order.Status != order.Confirmed || s.wallet != 200 || s.story() != "cart hold credit pay" {
		t.Fatalf("the order is %s, the wallet has %d, asked %s", a.Order.Status, s.wallet, s.story())
	}
	_, err = s.cancelOrder(a.Order.ID)
	s.must(err)
	s.until("all is undone", s.calm(a.Order.ID))
	if s.wallet != 500 {
		t.Errorf("the wallet has %d after the cancellation", s.wallet)
	}
}

func TestADeclinedPaymentGivesTheCreditBackAndAnEmptyWalletRejects(t *testing.T) {
	s := open(t)
	s.set(func() { s.wallet = 500 })
	c := s.command("k1", "declined", "body")
	c.Credit = gbp(300)
	a, err := s.app.Checkout(context.Background(), shopper, c)
	s.must(err)
	s.until("all is undone", s.ended(a.Order.ID))
	if a.Order.Status != order.Rejected || s.wallet != 500 {
		t.Errorf("the order is %s, the wallet has %d", a.Order.Status, s.wallet)
	}
	s.set(func() { s.wallet = 100 })
	c = s.command("k2", "authorized", "body")
	c.Credit = gbp(300)
	a, err = s.app.Checkout(context.Background(), shopper, c)
	s.must(err)
	if a.Order.Rejection.Code != "insufficient_credit" || s.payment(a.Order.ID).authorizations != 0 {
		t.Errorf("the order is %s: %+v", a.Order.Status, a.Order.Rejection)
	}
	s.until("all is undone", s.ended(a.Order.ID))
	if s.hold(a.Order.ID) != "released" || s.wallet != 100 {
		t.Errorf("hold %s, wallet %d", s.hold(a.Order.ID), s.wallet)
	}
}

func TestAnOrderThatCreditPaysWholeAsksNoProvider(t *testing.T) {
	s := open(t)
	s.set(func() { s.wallet = 1000 })
	c := s.command("k1", "", "body")
	c.Credit = gbp(905)
	a, err := s.app.Checkout(context.Background(), shopper, c)
	s.must(err)
	if a.Order.Status != order.Confirmed || a.Order.PaymentState() != "authorized" || s.asked("pay") != 0 {
		t.Errorf("the order is %s, %s, the provider was asked %d times", a.Order.Status, a.Order.PaymentState(), s.asked("pay"))
	}
	for _, wrong := range []*app.Command{{Credit: gbp(906), Token: "authorized"}, {Credit: gbp(-1), Token: "authorized"}, {Credit: gbp(900)}} {
		c := s.command("k2", wrong.Token, "body")
		c.Credit = wrong.Credit
		if _, err := s.app.Checkout(context.Background(), shopper, c); !problem.Is(err, "invalid_request") && !problem.Is(err, "cart_already_ordered") {
			t.Errorf("credit of %s and token %q gave %v", wrong.Credit, wrong.Token, err)
		}
	}
}
