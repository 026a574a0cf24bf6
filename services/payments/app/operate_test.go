package app_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
)

func TestACaptureTakesTheMoneyOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	i := h.authorize("ord_1", "tok_ok")
	first := h.operate(capturing("ord_1", "cap_1", 1999), operation.Done)
	if again := h.operate(capturing("ord_1", "cap_1", 1999), operation.Done); again != first {
		t.Errorf("again %+v, want %+v", again, first)
	}
	if now, _ := h.Get(ctx, i.ID); now.State != intent.Captured || now.CapturedMinor != 1999 || now.Held {
		t.Errorf("the intent is %+v", now)
	}
	if told := h.told("ord_1"); told != "Authorized Captured" || h.calls("capture") != 1 {
		t.Errorf("told %q after %d captures", told, h.calls("capture"))
	}
	h.moved("ord_1", 1999, 0, 0)
}

func TestCapturesInParts(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	i := h.authorize("ord_1", "tok_ok")
	h.operate(capturing("ord_1", "cap_1", 500), operation.Done)
	if now, _ := h.Get(ctx, i.ID); now.State != intent.Authorized || now.Rest().Minor != 1499 || !now.MultiCapture {
		t.Errorf("after a part the intent is %+v", now)
	}
	h.moved("ord_1", 500, 0, 1499)
	_, err := h.Operate(ctx, capturing("ord_1", "cap_2", 1500))
	h.refused(err, operation.CodeNotCapturable)
	if p := problem.Of(err); p.Meta["capturable"] != "14.99" || p.Meta["currency"] != "GBP" {
		t.Errorf("refused with %v", p.Meta)
	}
	last := capturing("ord_1", "cap_3", 1000)
	last.Final = true
	h.operate(last, operation.Done)
	if now, _ := h.Get(ctx, i.ID); now.State != intent.Captured || now.CapturedMinor != 1500 {
		t.Errorf("after the final one the intent is %+v", now)
	}
	_, err = h.Operate(ctx, capturing("ord_1", "cap_4", 1))
	h.refused(err, operation.CodeNotCapturable)
	h.moved("ord_1", 1500, 0, 0)
}

func TestAProviderThatCapturesOnceLetsGoOfTheRest(t *testing.T) {
	h := open(t, t.TempDir(), setup{sandbox: sandbox.Options{SingleCapture: true}})
	i := h.authorize("ord_1", "tok_ok")
	if i.MultiCapture {
		t.Error("it says that it captures in parts")
	}
	h.operate(capturing("ord_1", "cap_1", 500), operation.Done)
	if now, _ := h.Get(ctx, i.ID); now.State != intent.Captured {
		t.Errorf("the intent is %s", now.State)
	}
	h.moved("ord_1", 500, 0, 0)
}

func TestAnIdOfAnotherOperationIsRefused(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.authorize("ord_1", "tok_ok")
	h.authorize("ord_2", "tok_ok")
	h.operate(capturing("ord_1", "cap_1", 500), operation.Done)
	for name, d := range map[string]app.Demand{
		"another amount":          capturing("ord_1", "cap_1", 501),
		"another order":           capturing("ord_2", "cap_1", 500),
		"a refund":                refunding("ord_1", "cap_1", 500),
		"a refund of another one": refunding("ord_2", "cap_1", 500),
	} {
		_, err := h.Operate(ctx, d)
		if p := problem.Of(err); p == nil || p.Code != operation.CodeReused && p.Code != operation.CodeNotRefundable {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.clean()
}

func TestWhatIsNotAuthorizedIsNotCaptured(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	_, err := h.Operate(ctx, capturing("ord_0", "cap_0", 1999))
	h.refused(err, operation.CodeNotCapturable)
	h.authorize("ord_1", "tok_declined")
	_, err = h.Operate(ctx, capturing("ord_1", "cap_1", 1999))
	h.refused(err, operation.CodeNotCapturable)
	h.authorize("ord_2", "tok_timeout:1h")
	_, err = h.Operate(ctx, capturing("ord_2", "cap_2", 1999))
	h.refused(err, app.CodeUnsettled)
	h.authorize("ord_3", "tok_ok")
	h.cancel("ord_3")
	_, err = h.Operate(ctx, capturing("ord_3", "cap_3", 1999))
	h.refused(err, app.CodeCanceled)
	foreign := capturing("ord_4", "cap_4", 1999)
	foreign.Amount.Currency = "EUR"
	h.authorize("ord_4", "tok_ok")
	_, err = h.Operate(ctx, foreign)
	h.refused(err, "invalid_request")
	if h.calls("capture")+h.calls("refused") != 0 {
		t.Error("the provider was asked all the same")
	}
	h.clean()
}

func TestMalformedDemandsAreRefused(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	for name, d := range map[string]app.Demand{
		"no order":            capturing("", "cap_1", 1),
		"an id with a slash":  capturing("ord_1", "cap/1", 1),
		"nothing":             capturing("ord_1", "cap_1", 0),
		"less than nothing":   refunding("ord_1", "rfd_1", -1),
		"a refund without id": refunding("ord_1", "", 1),
	} {
		if _, err := h.Operate(ctx, d); !problem.Is(err, "invalid_request") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACaptureThatFailsIsTriedAnew(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.authorize("ord_1", "tok_capture_declined_once")
	failed := h.operate(capturing("ord_1", "cap_1", 1999), operation.Failed)
	if failed.Code != "capture_refused" {
		t.Errorf("failed as %q", failed.Code)
	}
	h.moved("ord_1", 0, 0, 1999)
	h.operate(capturing("ord_1", "cap_1", 1999), operation.Done)
	if told := h.told("ord_1"); told != "Authorized CaptureFailed Captured" {
		t.Errorf("told %q", told)
	}
	h.moved("ord_1", 1999, 0, 0)
}

func TestACaptureThatKeepsFailingIsToldOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	i := h.authorize("ord_1", "tok_capture_declined")
	for range 3 {
		h.operate(capturing("ord_1", "cap_1", 1999), operation.Failed)
	}
	if told := h.told("ord_1"); told != "Authorized CaptureFailed" {
		t.Errorf("told %q", told)
	}
	if now, _ := h.Get(ctx, i.ID); now.State != intent.Authorized {
		t.Errorf("the intent is %s", now.State)
	}
	h.moved("ord_1", 0, 0, 1999)
	h.cancel("ord_1")
	_, err := h.Operate(ctx, capturing("ord_1", "cap_1", 1999))
	h.refused(err, app.CodeCanceled)
	h.moved("ord_1", 0, 0, 0)
}

func TestAnAuthorizationThatLapsed(t *testing.T) {
	for name, c := range map[string]struct {
		part  int64 // captured before
		heard bool  // the shop has heard of it
		told  string
		state intent.State
	}{
		"before anything was captured, unheard": {told: "Authorized Voided CaptureFailed", state: intent.Voided},
		"before anything was captured, heard":   {heard: true, told: "Authorized Voided CaptureFailed", state: intent.Voided},
		"after a part was captured, unheard":    {part: 500, told: "Authorized Captured Voided CaptureFailed", state: intent.Captured},
		"after a part was captured, heard":      {part: 500, heard: true, told: "Authorized Captured Voided CaptureFailed", state: intent.Captured},
	} {
		t.Run(name, func(t *testing.T) {
			outside := clock.NewFake(time.Now())
			h := open(t, t.TempDir(), setup{webhooks: c.heard, sandbox: sandbox.Options{Clock: outside}})
			i := h.authorize("ord_1", "tok_expires:1m")
			if c.part > 0 {
				h.operate(capturing("ord_1", "cap_1", c.part), operation.Done)
			}
			outside.Advance(time.Minute)
			if c.heard {
				h.becomes(i.ID, c.state)
			}
			for range 2 {
				if o := h.operate(capturing("ord_1", "cap_2", 1000), operation.Failed); o.Code != operation.CodeExpired {
					t.Errorf("failed as %q", o.Code)
				}
			}
			if now := h.becomes(i.ID, c.state); now.Cause != intent.Lapsed || h.told("ord_1") != c.told {
				t.Errorf("the intent is %+v, told %q", now, h.told("ord_1"))
			}
			if asked := h.calls("refused"); c.heard && asked != 0 {
				t.Errorf("the provider was asked %d times for what it is known to have let go of", asked)
			}
			h.moved("ord_1", c.part, 0, 0)
		})
	}
}

func TestOperationsWithoutAnAnswerAreAskedAgain(t *testing.T) {
	for name, asksAgain := range map[string]bool{"by who asked": true, "by the reconciler": false} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), setup{})
			h.authorize("ord_1", "tok_capture_dies")
			h.authorize("ord_2", "tok_refund_dies")
			h.operate(capturing("ord_2", "cap_2", 1999), operation.Done)
			for _, d := range []app.Demand{capturing("ord_1", "cap_1", 1999), refunding("ord_2", "rfd_2", 1000)} {
				h.operate(d, operation.Unknown)
				if asksAgain {
					h.operate(d, operation.Done)
				}
				h.comes(d, operation.Done)
			}
			if a, b := h.told("ord_1"), h.told("ord_2"); a != "Authorized Captured" || b != "Authorized Captured Refunded" {
				t.Errorf("told %q and %q", a, b)
			}
			if h.calls("capture") != 2 || h.calls("refund") != 1 {
				t.Errorf("%d captures and %d refunds", h.calls("capture"), h.calls("refund"))
			}
			h.clean()
		})
	}
}

// TestAProviderThatCannotBeReached leaves the amounts set aside until it can.
func TestAProviderThatCannotBeReached(t *testing.T) {
	var lost atomic.Bool
	h := open(t, t.TempDir(), setup{wrap: func(_ *shop, p provider.Provider) provider.Provider {
		road := func(next func() (provider.Operation, error)) (provider.Operation, error) {
			if lost.Load() {
				return provider.Operation{}, errors.New("no route to host")
			}
			return next()
		}
		return &faulty{Provider: p, capture: road, refund: road}
	}})
	h.authorize("ord_1", "tok_ok")
	lost.Store(true)
	first := capturing("ord_1", "cap_1", 1000)
	h.operate(first, operation.Unknown)
	_, err := h.Operate(ctx, capturing("ord_1", "cap_2", 999))
	h.refused(err, app.CodeOpenCapture)
	_, err = h.Operate(ctx, refunding("ord_1", "rfd_1", 1))
	h.refused(err, operation.CodeNotRefundable)
	lost.Store(false)
	h.comes(first, operation.Done)
	lost.Store(true)
	h.operate(refunding("ord_1", "rfd_2", 700), operation.Unknown)
	_, err = h.Operate(ctx, refunding("ord_1", "rfd_3", 301))
	h.refused(err, operation.CodeNotRefundable)
	if p := problem.Of(err); p.Meta["refundable"] != "3.00" {
		t.Errorf("refused with %v", p.Meta)
	}
	lost.Store(false)
	h.comes(refunding("ord_1", "rfd_2", 700), operation.Done)
	h.operate(refunding("ord_1", "rfd_3", 300), operation.Done)
	h.moved("ord_1", 1000, 1000, 999)
}

func TestCapturesAtOnceTakeOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	other := app.New(h.Deps, fast())
	h.authorize("ord_1", "tok_ok")
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			o, err := []*app.Payments{h.Payments, other}[n%2].Operate(ctx, capturing("ord_1", "cap_1", 1999))
			if err != nil || o.State != operation.Done {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
	all.Wait()
	if h.calls("capture") != 1 || h.told("ord_1") != "Authorized Captured" {
		t.Errorf("%d captures, told %q", h.calls("capture"), h.told("ord_1"))
	}
	h.moved("ord_1", 1999, 0, 0)
}

func TestACallerWhoWillNotWaitForTheTurn(t *testing.T) {
	begun, let := make(chan struct{}), make(chan struct{})
	h := open(t, t.TempDir(), setup{options: app.Options{ConfirmTimeout: 5 * time.Second}, wrap: func(_ *shop, p provider.Provider) provider.Provider {
		return &faulty{Provider: p, capture: func(next func() (provider.Operation, error)) (provider.Operation, error) {
			close(begun)
			<-let
			return next()
		}}
	}})
	h.authorize("ord_1", "tok_ok")
	answer := make(chan operation.Operation, 1)
	go func() {
		o, _ := h.Operate(ctx, capturing("ord_1", "cap_1", 1999))
		answer <- o
	}()
	<-begun
	leaving, leave := context.WithCancel(ctx)
	leave()
	if _, err := h.Operate(leaving, capturing("ord_1", "cap_1", 1999)); !errors.Is(err, context.Canceled) {
		t.Errorf("did not wait: %v", err)
	}
	close(let)
	if o := <-answer; o.State != operation.Done {
		t.Errorf("the first is %s", o.State)
	}
}

func TestAnAnnouncedCaptureIsNotReadAgain(t *testing.T) {
	h := open(t, t.TempDir(), setup{webhooks: true})
	h.authorize("ord_1", "tok_ok")
	h.operate(capturing("ord_1", "cap_1", 500), operation.Done)
	h.operate(refunding("ord_1", "rfd_1", 100), operation.Done)
	h.eventually("due_at = 0", 3)
	h.clean()
}

// TestAnAnnouncementHurriesAnOpenCapture: the provider says that it took money of
// which the shop has no answer.
func TestAnAnnouncementHurriesAnOpenCapture(t *testing.T) {
	options := fast()
	options.RetryMin = time.Hour
	h := open(t, t.TempDir(), setup{webhooks: true, options: options})
	h.authorize("ord_1", "tok_capture_dies")
	h.operate(capturing("ord_1", "cap_1", 1999), operation.Unknown)
	h.comes(capturing("ord_1", "cap_1", 1999), operation.Done)
	h.moved("ord_1", 1999, 0, 0)
}

func TestOperationsArePagedByOrder(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	for _, order := range []string{"ord_2", "ord_1"} {
		h.authorize(order, "tok_ok")
		for n, id := range []string{"_b", "_a"} { // the order of time is not that of ids
			h.operate(capturing(order, "cap_"+order+id, int64(100+n)), operation.Done)
		}
	}
	h.authorize("ord_3", "tok_capture_declined")
	h.operate(capturing("ord_3", "cap_3", 100), operation.Failed)
	list := func(s app.OperationSelection) (ids string) {
		for s.Kind, s.Limit = operation.Capture, 2; ; {
			page, more, err := h.Operations(ctx, s)
			if err != nil || len(page) > 2 {
				t.Fatalf("%d rows, %v", len(page), err)
			}
			for _, o := range page {
				ids += " " + o.ID
				s.After = app.Place{Order: o.Order, Created: o.CreatedAt.UnixMicro(), ID: o.ID}
			}
			if !more {
				return ids
			}
		}
	}
	for want, s := range map[string]app.OperationSelection{
		" cap_ord_1_b cap_ord_1_a cap_ord_2_b cap_ord_2_a cap_3": {},
		" cap_ord_2_b cap_ord_2_a":                               {Order: "ord_2"},
		" cap_3":                                                 {State: operation.Failed},
		"":                                                       {State: operation.Unknown},
		" cap_ord_1_b cap_ord_1_a cap_ord_2_b cap_ord_2_a": {State: operation.Done},
	} {
		if got := list(s); got != want {
			t.Errorf("%+v lists%s, want%s", s, got, want)
		}
	}
	_, _, err := h.Operations(ctx, app.OperationSelection{Kind: operation.Capture, Limit: 1001})
	h.refused(err, "invalid_request")
}

func TestAmountsOfCurrenciesWithoutPence(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	yen := ask("ord_1", "tok_ok")
	yen.Amount = money.Of(1200, "JPY")
	if _, err := h.Authorize(ctx, yen); err != nil {
		t.Fatal(err)
	}
	h.operate(app.Demand{Kind: operation.Capture, ID: "cap_1", Order: "ord_1", Amount: yen.Amount, Final: true}, operation.Done)
	_, err := h.Operate(ctx, app.Demand{Kind: operation.Refund, ID: "rfd_1", Order: "ord_1", Amount: money.Of(1201, "JPY")})
	if p := problem.Of(err); p == nil || p.Meta["refundable"] != "1200" || p.Meta["currency"] != "JPY" {
		t.Errorf("refused with %v", err)
	}
	h.clean()
}
