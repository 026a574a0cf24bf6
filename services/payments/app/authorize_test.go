package app_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
)

func TestEveryToken(t *testing.T) {
	for token, want := range map[string]struct {
		first, last intent.State
		reason      string
		told        string
	}{
		"tok_ok":                          {intent.Authorized, intent.Authorized, "", "Authorized"},
		"tok_declined":                    {intent.Declined, intent.Declined, "card_declined", "Declined"},
		"tok_declined_insufficient_funds": {intent.Declined, intent.Declined, "insufficient_funds", "Declined"},
		"tok_declined_expired_card":       {intent.Declined, intent.Declined, "expired_card", "Declined"},
		"tok_no_such_token":               {intent.Declined, intent.Declined, "token_refused", "Declined"},
		"tok_slow:20ms":                   {intent.Authorized, intent.Authorized, "", "Authorized"},
		"tok_slow:500ms":                  {intent.Unknown, intent.Authorized, "", "Unknown Authorized"},
		"tok_dies":                        {intent.Unknown, intent.Authorized, "", "Unknown Authorized"},
		"tok_timeout:400ms":               {intent.Unknown, intent.Authorized, "", "Unknown Authorized"},
		"tok_pending_declined:400ms":      {intent.Unknown, intent.Declined, "card_declined", "Unknown Declined"},
		"tok_lost":                        {intent.Unknown, intent.Failed, "no_answer", "Unknown Failed"},
		"tok_dup_webhook":                 {intent.Authorized, intent.Authorized, "", "Authorized"},
		"tok_late_webhook":                {intent.Authorized, intent.Authorized, "", "Authorized"},
		"tok_reorder_webhooks":            {intent.Authorized, intent.Authorized, "", "Authorized"},
		"tok_no_webhook":                  {intent.Authorized, intent.Authorized, "", "Authorized"},
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			options := fast()
			options.PendingPatience = 2 * time.Second
			h := open(t, t.TempDir(), setup{
				options: options, webhooks: true,
				sandbox: sandbox.Options{LateFor: 50 * time.Millisecond, ReorderBy: 20 * time.Millisecond},
			})
			i := h.authorize("ord_1", token)
			if i.State != want.first {
				t.Errorf("answered %s, want %s", i.State, want.first)
			}
			last := h.becomes(i.ID, want.last)
			time.Sleep(80 * time.Millisecond) // for webhooks that come late
			if told := h.told("ord_1"); told != want.told || last.Reason != want.reason {
				t.Errorf("told %q with reason %q, want %q with %q", told, last.Reason, want.told, want.reason)
			}
			h.hasHeld(want.last == intent.Authorized)
			h.clean()
		})
	}
}

// hasHeld checks the ledger and the provider for exactly one hold, or none.
func (h *shop) hasHeld(held bool) {
	h.t.Helper()
	want := 0
	if held {
		want = 1
	}
	minor, _ := h.held()
	if minor != int64(want)*pounds.Minor || h.charged("ord_1") != want {
		h.t.Errorf("the ledger holds %d and the provider %d times the money; want %d times", minor, h.charged("ord_1"), want)
	}
}

func TestTheSameAttemptAgainGetsThePresentState(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	first := h.authorize("ord_1", "tok_ok")
	if again := h.authorize("ord_1", "tok_ok"); again != first {
		t.Errorf("again %+v, want %+v", again, first)
	}
	h.cancel("ord_1")
	if after := h.authorize("ord_1", "tok_ok"); after.State != intent.Voided {
		t.Errorf("after its cancellation %s", after.State)
	}
}

func TestConcurrentCallsMakeOneConfirmation(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if i, err := h.Authorize(ctx, ask("ord_1", "tok_slow:30ms")); err != nil || i.State != intent.Authorized {
				t.Errorf("%s, %v", i.State, err)
			}
		})
	}
	all.Wait()
	if _, lines := h.held(); h.confirmations() != 1 || lines != 1 {
		t.Errorf("%d confirmations and %d lines on the hold", h.confirmations(), lines)
	}
}

func TestTwoProcessesChargeOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	other := app.New(h.Deps, fast()) // on the same store, as a replica
	var all sync.WaitGroup
	for n := range 20 {
		order := "ord_" + strconv.Itoa(n)
		for _, one := range []*app.Payments{h.Payments, other} {
			all.Go(func() {
				if i, err := one.Authorize(ctx, ask(order, "tok_ok")); err != nil || i.State != intent.Authorized {
					t.Errorf("%s: %s, %v", order, i.State, err)
				}
			})
		}
	}
	all.Wait()
	if _, lines := h.held(); lines != 20 || h.confirmations() != 20 {
		t.Errorf("%d lines on the hold and %d confirmations of 20 orders", lines, h.confirmations())
	}
	h.clean()
}

func TestAttemptsThatCouldHoldMoneyTwiceAreRefused(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.authorize("ord_1", "tok_ok")
	other := ask("ord_1", "tok_ok")
	other.Amount.Minor++
	_, err := h.Authorize(ctx, other)
	h.refused(err, app.CodeAttempt)
	second := ask("ord_1", "tok_ok")
	second.Attempt = 2
	_, err = h.Authorize(ctx, second)
	h.refused(err, app.CodeUnsettled)

	h.authorize("ord_2", "tok_declined")
	second.Order, second.Run = "ord_2", "run_ord_2"
	if i, err := h.Authorize(ctx, second); err != nil || i.State != intent.Authorized {
		t.Errorf("after a decline: %s, %v", i.State, err)
	}
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	for name, spoil := range map[string]func(*app.Authorization){
		"no order":         func(a *app.Authorization) { a.Order = "" },
		"a foreign run":    func(a *app.Authorization) { a.Run = "run/1" },
		"attempt nought":   func(a *app.Authorization) { a.Attempt = 0 },
		"nothing to pay":   func(a *app.Authorization) { a.Amount.Minor = 0 },
		"no token":         func(a *app.Authorization) { a.Token = "" },
		"another provider": func(a *app.Authorization) { a.Provider = "bank" },
	} {
		t.Run(name, func(t *testing.T) {
			a := ask("ord_1", "tok_ok")
			spoil(&a)
			_, err := h.Authorize(ctx, a)
			h.refused(err, "invalid_request")
		})
	}
}

func TestTheAnswerComesBeforeTheCallersDeadline(t *testing.T) {
	options := fast()
	options.ConfirmTimeout = time.Minute
	h := open(t, t.TempDir(), setup{options: options})
	hurried, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
	defer cancel()
	if i, err := h.Authorize(hurried, ask("ord_1", "tok_timeout:30s")); err != nil || i.State != intent.Unknown || hurried.Err() != nil {
		t.Fatalf("%s, %v", i.State, err)
	}
}

func TestACallerWhoLeavesHarmsNothing(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	leaving, leave := context.WithCancel(ctx)
	time.AfterFunc(20*time.Millisecond, leave)
	i, err := h.Authorize(leaving, ask("ord_1", "tok_slow:60ms"))
	if err != nil || i.State != intent.Authorized {
		t.Fatalf("%s, %v", i.State, err)
	}
	h.clean()
}

func TestAProviderOutOfReachBeginsNothing(t *testing.T) {
	h := open(t, t.TempDir(), setup{wrap: func(_ *shop, p provider.Provider) provider.Provider {
		return &faulty{Provider: p, create: func(func() (provider.Payment, error)) (provider.Payment, error) {
			return provider.Payment{}, errors.New("no route to host")
		}}
	}})
	_, err := h.Authorize(ctx, ask("ord_1", "tok_ok"))
	h.refused(err, app.CodeUnavailable)
	if page, _, _ := h.List(ctx, app.Selection{}); len(page) != 0 {
		t.Errorf("stored %+v", page)
	}
}

// TestACrashAtEachStep loses the process around each call of the provider,
// opens a new one on the same files, and lets the order ask again.
func TestACrashAtEachStep(t *testing.T) {
	options := app.Options{RetryMin: time.Hour} // so that only the start makes things due
	type call func(next func() (provider.Payment, error)) (provider.Payment, error)
	crash := func(h *shop, before, after bool) call {
		return func(next func() (provider.Payment, error)) (p provider.Payment, err error) {
			if before {
				_ = h.store.Close()
				return p, errors.New("killed")
			}
			p, err = next()
			if after {
				_ = h.store.Close() // nothing of the answer is ever stored
			}
			return p, err
		}
	}
	for name, wrap := range map[string]func(*shop, provider.Provider) provider.Provider{
		"before create": func(h *shop, p provider.Provider) provider.Provider {
			return &faulty{Provider: p, create: crash(h, true, false)}
		},
		"after create": func(h *shop, p provider.Provider) provider.Provider {
			return &faulty{Provider: p, create: crash(h, false, true)}
		},
		"before confirm": func(h *shop, p provider.Provider) provider.Provider {
			return &faulty{Provider: p, confirm: crash(h, true, false)}
		},
		"after confirm": func(h *shop, p provider.Provider) provider.Provider {
			return &faulty{Provider: p, confirm: crash(h, false, true)}
		},
	} {
		for _, asksAgain := range []bool{true, false} {
			t.Run(name+", asked again: "+strconv.FormatBool(asksAgain), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				killed := open(t, dir, setup{wrap: wrap, options: options, idle: true})
				if i, err := killed.Authorize(ctx, ask("ord_1", "tok_ok")); err == nil {
					t.Fatalf("answered %s from beyond the crash", i.State)
				}
				killed.stop()
				h := open(t, dir, setup{options: options})
				if asksAgain {
					if i := h.authorize("ord_1", "tok_ok"); i.State != intent.Authorized {
						t.Errorf("after the crash: %s", i.State)
					}
				} else if page, _, _ := h.List(ctx, app.Selection{}); len(page) == 1 {
					h.becomes(page[0].ID, intent.Authorized) // the reconciler does what was decided
				}
				if n := h.charged("ord_1"); n > 1 || h.confirmations() > 1 {
					t.Errorf("charged %d times, confirmed %d times", n, h.confirmations())
				}
				h.clean()
			})
		}
	}
}
