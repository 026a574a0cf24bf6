package app_test

import (
	"testing"
	"time"

	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/provider"
)

func TestCancelGivesTheMoneyBack(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.authorize("ord_1", "tok_ok")
	for range 2 {
		if i := h.cancel("ord_1"); i.State != intent.Voided {
			t.Errorf("canceled: %s", i.State)
		}
	}
	if minor, lines := h.held(); minor != 0 || lines != 2 {
		t.Errorf("the ledger holds %d by %d lines", minor, lines)
	}
	if told := h.told("ord_1"); told != "Authorized Voided" {
		t.Errorf("told %q", told)
	}
	h.hasHeld(false)
	h.clean()
}

func TestCancelOfADeclineChangesNothing(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.authorize("ord_1", "tok_declined")
	if i := h.cancel("ord_1"); i.State != intent.Declined {
		t.Errorf("canceled: %s", i.State)
	}
}

func TestCancelThatFindsNothingRefusesWhatComesLater(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	if i := h.cancel("ord_1"); i.ID != "" || i.State != "" {
		t.Errorf("canceled nothing: %+v", i)
	}
	_, err := h.Authorize(ctx, ask("ord_1", "tok_ok"))
	h.refused(err, app.CodeCanceled)
	if h.charged("ord_1") != 0 || h.confirmations() != 0 {
		t.Error("the provider was asked all the same")
	}
	other := ask("ord_1", "tok_ok")
	other.Run = "run_other"
	if i, err := h.Authorize(ctx, other); err != nil || i.State != intent.Authorized {
		t.Errorf("another run's payment: %s, %v", i.State, err)
	}
}

func TestCancelTouchesOnlyItsOwnRun(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	mine := h.authorize("ord_1", "tok_ok")
	other := off("ord_1")
	other.Run = "run_other"
	if i, err := h.Cancel(ctx, other); err != nil || i.ID != "" {
		t.Errorf("another run canceled %+v, %v", i, err)
	}
	if i, _ := h.Get(ctx, mine.ID); i.State != intent.Authorized {
		t.Errorf("mine is %s", i.State)
	}
}

func TestCancelBetweenCreateAndStore(t *testing.T) {
	h := open(t, t.TempDir(), setup{wrap: func(h *shop, p provider.Provider) provider.Provider {
		return &faulty{Provider: p, create: func(next func() (provider.Payment, error)) (provider.Payment, error) {
			payment, err := next()
			h.cancel("ord_1")
			return payment, err
		}}
	}})
	_, err := h.Authorize(ctx, ask("ord_1", "tok_ok"))
	h.refused(err, app.CodeCanceled)
	page, _, err := h.List(ctx, app.Selection{Order: "ord_1"})
	if err != nil || len(page) != 1 {
		t.Fatalf("stored %+v, %v", page, err)
	}
	h.becomes(page[0].ID, intent.Voided)
	payment, err := h.sandbox.Get(ctx, page[0].ProviderID)
	if err != nil || payment.Status != provider.Canceled {
		t.Errorf("the provider's payment is %v, %v", payment.Status, err)
	}
	h.clean()
}

func TestMoneyThatComesAfterTheCancellationIsGivenBack(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	i := h.authorize("ord_1", "tok_timeout:500ms")
	if i.State != intent.Unknown {
		t.Fatalf("answered %s", i.State)
	}
	if i = h.cancel("ord_1"); i.State != intent.Canceling {
		t.Fatalf("canceled while pending: %s", i.State)
	}
	h.becomes(i.ID, intent.Voided)
	if told := h.told("ord_1"); told != "Unknown Voided" {
		t.Errorf("told %q", told)
	}
	h.hasHeld(false)
	h.clean()
}

func TestCancelWhileConfirming(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	answer := make(chan intent.Intent, 1)
	go func() {
		i, _ := h.Authorize(ctx, ask("ord_1", "tok_slow:100ms"))
		answer <- i
	}()
	for h.confirmations() == 0 {
		time.Sleep(time.Millisecond)
	}
	h.cancel("ord_1")
	i := <-answer
	h.becomes(i.ID, intent.Voided)
	h.hasHeld(false)
	h.clean()
}

func TestAnUnknownPaymentIsAbandonedOnlyWithTheProvidersConsent(t *testing.T) {
	options := fast()
	options.PendingPatience = 350 * time.Millisecond
	h := open(t, t.TempDir(), setup{options: options})
	lost := h.authorize("ord_1", "tok_lost")
	pending := h.authorize("ord_2", "tok_timeout:900ms")
	h.becomes(lost.ID, intent.Failed)
	h.becomes(pending.ID, intent.Canceling)
	i := h.becomes(pending.ID, intent.Failed) // authorized in the end, and voided
	if i.Held || h.charged("ord_2") != 0 {
		t.Errorf("failed and yet held: %+v", i)
	}
	h.clean()
}
