package app_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/wallet"
)

func holding(order string, minor int64) app.CreditHold {
	return app.CreditHold{Order: order, Run: "run_" + order, Subject: "sub_1", Amount: money.Of(minor, "GBP")}
}

// hold sets credit aside and wants it so.
func (h *shop) hold(order string, minor int64) wallet.Credit {
	h.t.Helper()
	c, err := h.HoldCredit(ctx, holding(order, minor))
	if err != nil || c.State() != wallet.CreditHeld {
		h.t.Fatalf("hold %d for %s: %+v, %v", minor, order, c, err)
	}
	return c
}

func (h *shop) release(order string, want wallet.CreditState) wallet.Credit {
	h.t.Helper()
	c, err := h.ReleaseCredit(ctx, order, "run_"+order)
	if err != nil || c.State() != want {
		h.t.Fatalf("release of %s: %s, %+v, %v; want %s", order, c.State(), c, err, want)
	}
	return c
}

// split is an order of which credit covers a part and the provider the rest.
func (h *shop) split(order string, credit int64, token string) {
	h.t.Helper()
	h.hold(order, credit)
	a := ask(order, token)
	a.Amount.Minor -= credit
	if i, err := h.Authorize(ctx, a); err != nil || i.State != intent.Authorized {
		h.t.Fatalf("%s, %v", i.State, err)
	}
}

func TestCreditIsHeldOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	first := h.hold("ord_1", 3000)
	if again := h.hold("ord_1", 3000); again != first {
		t.Errorf("again %+v, want %+v", again, first)
	}
	h.has("sub_1", 2000, 3000)
	_, err := h.HoldCredit(ctx, holding("ord_1", 2999))
	h.refused(err, app.CodeCreditReused)
	_, err = h.HoldCredit(ctx, holding("ord_2", 2001))
	h.refused(err, wallet.CodeInsufficient)
	other := holding("ord_1", 3000)
	other.Run = "run_other"
	_, err = h.HoldCredit(ctx, other)
	h.refused(err, app.CodeCreditLive)
	h.has("sub_1", 2000, 3000)
}

func TestReleasedCreditGoesBack(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.hold("ord_1", 3000)
	for range 2 {
		h.release("ord_1", wallet.CreditReleased)
	}
	h.has("sub_1", 5000, 0)
	if c, err := h.HoldCredit(ctx, holding("ord_1", 3000)); err != nil || c.State() != wallet.CreditReleased {
		t.Errorf("held again by the run that let go: %s, %v", c.State(), err)
	}
	other := holding("ord_1", 1000)
	other.Run = "run_other"
	if c, err := h.HoldCredit(ctx, other); err != nil || c.State() != wallet.CreditHeld {
		t.Errorf("held by another run: %s, %v", c.State(), err)
	}
	h.has("sub_1", 4000, 1000)
	if told := h.told("wallet_sub_1_GBP"); told != "Deposited CreditHeld CreditReleased CreditHeld" {
		t.Errorf("told %q", told)
	}
}

func TestAReleaseThatFindsNothingRefusesWhatComesLater(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.release("ord_1", wallet.CreditNone)
	_, err := h.HoldCredit(ctx, holding("ord_1", 3000))
	h.refused(err, app.CodeCreditReleased)
	other := holding("ord_1", 3000)
	other.Run = "run_other"
	if _, err := h.HoldCredit(ctx, other); err != nil {
		t.Errorf("another run: %v", err)
	}
	if i, err := h.Authorize(ctx, ask("ord_1", "tok_ok")); err != nil || i.State != intent.Authorized {
		t.Errorf("the tombstone of the credit met the payment: %s, %v", i.State, err)
	}
	h.release("ord_2", wallet.CreditNone)
	if i := h.cancel("ord_3"); i.ID != "" {
		t.Errorf("canceled %+v", i)
	}
	if _, err := h.HoldCredit(ctx, holding("ord_3", 1000)); err != nil {
		t.Errorf("the tombstone of the payment met the credit: %v", err)
	}
	if _, err := h.ReleaseCredit(ctx, "ord_4", ""); err != nil {
		t.Fatal(err)
	}
	_, err = h.HoldCredit(ctx, holding("ord_4", 1000))
	h.refused(err, app.CodeCreditReleased)
}

func TestAnOrderPaidByCreditAlone(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.hold("ord_1", 1999)
	first := h.operate(capturing("ord_1", "cap_1", 999), operation.Done)
	if first.CreditMinor != 999 || first.Intent != "" {
		t.Errorf("captured %+v", first)
	}
	if again := h.operate(capturing("ord_1", "cap_1", 999), operation.Done); again != first {
		t.Errorf("again %+v, want %+v", again, first)
	}
	h.operate(capturing("ord_1", "cap_2", 1000), operation.Done)
	_, err := h.Operate(ctx, capturing("ord_1", "cap_3", 1))
	h.refused(err, operation.CodeNotCapturable)
	h.release("ord_1", wallet.CreditCaptured)
	h.has("sub_1", 3001, 0)
	h.operate(refunding("ord_1", "rfd_1", 500), operation.Done)
	h.has("sub_1", 3501, 0)
	_, err = h.Operate(ctx, refunding("ord_1", "rfd_2", 1500))
	h.refused(err, operation.CodeNotRefundable)
	if told := h.told("ord_1"); told != "Captured Captured Refunded" || h.calls("create") != 0 {
		t.Errorf("told %q after %d payments", told, h.calls("create"))
	}
	if has := h.balances(); has["sales"] != -1499 || has["store_credit"] != -3501 || has["store_credit_held"] != 0 {
		t.Errorf("the ledger has %v", has)
	}
}

func TestStoreCreditIsTakenFirstAndRefundedLast(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.split("ord_1", 600, "tok_ok") // and 1399 by the provider
	if o := h.operate(capturing("ord_1", "cap_1", 500), operation.Done); o.CreditMinor != 500 {
		t.Errorf("captured %+v", o)
	}
	if o := h.operate(capturing("ord_1", "cap_2", 1000), operation.Done); o.CreditMinor != 100 {
		t.Errorf("captured %+v", o)
	}
	h.has("sub_1", 4400, 0)
	h.moved("ord_1", 900, 0, 499)
	if o := h.operate(refunding("ord_1", "rfd_1", 800), operation.Done); o.CreditMinor != 0 {
		t.Errorf("refunded %+v", o)
	}
	if o := h.operate(refunding("ord_1", "rfd_2", 300), operation.Done); o.CreditMinor != 200 {
		t.Errorf("refunded %+v", o)
	}
	h.moved("ord_1", 900, 900, 499)
	h.has("sub_1", 4600, 0)
}

func TestAFinalCaptureLetsGoOfBoth(t *testing.T) {
	for name, c := range map[string]struct {
		minor    int64
		state    intent.State
		captured int64
		balance  int64
		told     string
	}{
		"of less than the credit":  {400, intent.Voided, 0, 4600, "Authorized Captured Voided"},
		"of the credit exactly":    {600, intent.Voided, 0, 4400, "Authorized Captured Voided"},
		"of more than the credit":  {700, intent.Captured, 100, 4400, "Authorized Captured"},
		"of all that was set free": {1999, intent.Captured, 1399, 4400, "Authorized Captured"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), setup{})
			h.move(wallet.Deposited, "sub_1", 5000, "a")
			h.split("ord_1", 600, "tok_ok")
			d := capturing("ord_1", "cap_1", c.minor)
			d.Final = true
			h.operate(d, operation.Done)
			h.has("sub_1", c.balance, 0)
			h.moved("ord_1", c.captured, 0, 0)
			page, _, _ := h.List(ctx, app.Selection{Order: "ord_1"})
			if page[0].State != c.state || h.told("ord_1") != c.told {
				t.Errorf("the intent is %s, told %q", page[0].State, h.told("ord_1"))
			}
		})
	}
}

func TestACaptureThatFailsTakesNoCredit(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.split("ord_1", 600, "tok_capture_declined_once")
	h.operate(capturing("ord_1", "cap_1", 1999), operation.Failed)
	h.has("sub_1", 4400, 600)
	h.operate(capturing("ord_1", "cap_1", 1999), operation.Done)
	h.has("sub_1", 4400, 0)
	h.moved("ord_1", 1399, 0, 0)
}

func TestCreditOutlivesTheAuthorization(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.split("ord_1", 600, "tok_expires:1ms")
	time.Sleep(2 * time.Millisecond)
	if o := h.operate(capturing("ord_1", "cap_1", 1000), operation.Failed); o.Code != operation.CodeExpired {
		t.Errorf("failed as %q", o.Code)
	}
	h.has("sub_1", 4400, 600)
	h.operate(capturing("ord_1", "cap_2", 600), operation.Done)
	h.has("sub_1", 4400, 0)
	h.operate(capturing("ord_1", "cap_1", 1000), operation.Failed)
}

// TestCreditThatACaptureIsTaking stays set aside when the rest is let go of, and
// goes back only when the capture fails.
func TestCreditThatACaptureIsTaking(t *testing.T) {
	for name, fails := range map[string]bool{"and takes": false, "and does not take": true} {
		t.Run(name, func(t *testing.T) {
			var lost atomic.Bool
			h := open(t, t.TempDir(), setup{wrap: func(_ *shop, p provider.Provider) provider.Provider {
				return &faulty{Provider: p, capture: func(next func() (provider.Operation, error)) (provider.Operation, error) {
					switch {
					case lost.Load():
						return provider.Operation{}, errors.New("no route to host")
					case fails:
						return provider.Operation{Reason: "capture_refused"}, nil
					}
					return next()
				}}
			}})
			h.move(wallet.Deposited, "sub_1", 5000, "a")
			h.split("ord_1", 600, "tok_ok")
			lost.Store(true)
			d := capturing("ord_1", "cap_1", 1000)
			h.operate(d, operation.Unknown)
			h.release("ord_1", wallet.CreditHeld)
			h.has("sub_1", 4400, 600)
			lost.Store(false)
			if fails {
				h.comes(d, operation.Failed)
				h.has("sub_1", 5000, 0) // at once: it had been called off
				h.release("ord_1", wallet.CreditReleased)
				return
			}
			h.comes(d, operation.Done)
			h.release("ord_1", wallet.CreditCaptured)
			h.has("sub_1", 4400, 0)
		})
	}
}

func TestCreditIsCalledOffBeforeItIsCaptured(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.move(wallet.Deposited, "sub_1", 5000, "a")
	h.hold("ord_1", 1999)
	h.release("ord_1", wallet.CreditReleased)
	_, err := h.Operate(ctx, capturing("ord_1", "cap_1", 1999))
	h.refused(err, app.CodeCanceled)
	h.has("sub_1", 5000, 0)
}

// TestHoldsThatRaceForOneWallet: orders that want the same credit cannot both
// have it, nor can a run that lets go meanwhile leave anything behind.
func TestHoldsThatRaceForOneWallet(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	h.move(wallet.Deposited, "sub_1", 1000, "a")
	var held atomic.Int64
	var all sync.WaitGroup
	for n := range 20 {
		order := "ord_" + strconv.Itoa(n)
		all.Go(func() {
			c, err := h.HoldCredit(ctx, holding(order, 300))
			if err != nil && !problem.Is(err, wallet.CodeInsufficient) && !problem.Is(err, app.CodeCreditReleased) {
				t.Error(err)
			}
			if err == nil && c.State() == wallet.CreditHeld && n%2 == 0 {
				held.Add(300)
			}
		})
		if n%2 == 1 {
			all.Go(func() {
				if _, err := h.ReleaseCredit(ctx, order, "run_"+order); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	w, err := h.Wallet(ctx, staff, "sub_1", "GBP")
	if err != nil || w.Held > 900 || w.Held != held.Load() || w.Balance != 1000-w.Held {
		t.Errorf("%+v, %v with %d held", w, err, held.Load())
	}
	h.clean()
}

func TestMalformedHoldsAreRefused(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	for name, spoil := range map[string]func(*app.CreditHold){
		"no order":      func(c *app.CreditHold) { c.Order = "" },
		"a foreign run": func(c *app.CreditHold) { c.Run = "run/1" },
		"nobody's":      func(c *app.CreditHold) { c.Subject = "" },
		"nothing":       func(c *app.CreditHold) { c.Amount.Minor = 0 },
	} {
		c := holding("ord_1", 100)
		spoil(&c)
		if _, err := h.HoldCredit(ctx, c); !problem.Is(err, "invalid_request") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := h.ReleaseCredit(ctx, "", "")
	h.refused(err, "invalid_request")
}
