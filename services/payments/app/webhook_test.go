package app_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
)

func TestAWebhookIsBelievedOnlyWithAFreshTrueSignature(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	body := []byte(`{"type":"payment.authorized","timestamp":"2026-01-02T03:04:05Z","data":{"id":"sbx_1_1"}}`)
	sign := func(secret []byte, at time.Time) http.Header { return sandbox.Sign(secret, "evt_1_1", at, body) }
	for name, c := range map[string]struct {
		provider string
		headers  http.Header
		code     string
	}{
		"forged":           {"sandbox", sign([]byte("another secret"), time.Now()), app.CodeSignature},
		"replayed":         {"sandbox", sign(secret, time.Now().Add(-10*time.Minute)), app.CodeSignature},
		"from the future":  {"sandbox", sign(secret, time.Now().Add(10*time.Minute)), app.CodeSignature},
		"unsigned":         {"sandbox", http.Header{}, app.CodeSignature},
		"another provider": {"bank", sign(secret, time.Now()), app.CodeProvider},
	} {
		t.Run(name, func(t *testing.T) { h.refused(h.Webhook(ctx, c.provider, c.headers, body), c.code) })
	}
	if n := h.webhooksWhere("1 = 1"); n != 0 {
		t.Errorf("%d webhooks were stored", n)
	}
	nonsense := []byte(`{"data":{}}`)
	h.refused(h.Webhook(ctx, "sandbox", sandbox.Sign(secret, "evt_1_2", time.Now(), nonsense), nonsense), app.CodeWebhookShape)
}

func (h *shop) webhooksWhere(condition string) (n int) {
	h.t.Helper()
	err := h.store.View(ctx, func(tx sqlstore.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM webhooks WHERE ` + condition).Scan(&n)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// eventually waits until a count of webhooks is as wanted.
func (h *shop) eventually(condition string, want int) {
	h.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if h.webhooksWhere(condition) == want {
			return
		}
	}
	h.t.Fatalf("%d webhooks with %s, want %d", h.webhooksWhere(condition), condition, want)
}

func TestADuplicateIsStoredOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	i := h.authorize("ord_1", "tok_ok")
	for range 3 {
		if err := h.webhook("evt_1_1", i.ProviderID); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually("due_at = 0", 1)
	if told := h.told("ord_1"); told != "Authorized" {
		t.Errorf("told %q", told)
	}
}

func TestADuplicateOfWhatIsDoneIsNotReadAgain(t *testing.T) {
	h := open(t, t.TempDir(), setup{idle: true})
	i := h.authorize("ord_1", "tok_ok")
	err := h.webhook("evt_1_1", i.ProviderID)
	if err == nil {
		err = h.store.Update(ctx, func(tx sqlstore.Tx) error {
			_, err := tx.Exec(`UPDATE webhooks SET due_at = 0`)
			return err
		})
	}
	if err == nil {
		err = h.webhook("evt_1_1", i.ProviderID)
	}
	if n := h.webhooksWhere("due_at = 0"); err != nil || n != 1 {
		t.Errorf("%d webhooks are done, %v", n, err)
	}
}

func TestAnAnnouncementIsFollowedUnlessItsIntentRestsThere(t *testing.T) {
	for name, c := range map[string]struct {
		token string // of the payment
		off   bool   // it was called off
		kind  string // what the webhook says
		due   int
	}{
		"authorized, as is known":               {token: "tok_ok", kind: "authorized", due: 0},
		"declined, as is known":                 {token: "tok_declined", kind: "declined", due: 0},
		"canceled, as is known":                 {token: "tok_ok", off: true, kind: "canceled", due: 0},
		"canceled, known as authorized":         {token: "tok_ok", kind: "canceled", due: 1},
		"declined, known as authorized":         {token: "tok_ok", kind: "declined", due: 1},
		"authorized, known as canceled":         {token: "tok_ok", off: true, kind: "authorized", due: 1},
		"pending, known as authorized":          {token: "tok_ok", kind: "pending", due: 1},
		"a kind that does not name a status":    {token: "tok_ok", kind: "reviewed", due: 1},
		"authorized, and the intent is unknown": {token: "tok_dies", kind: "authorized", due: 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir(), setup{idle: true})
			i := h.authorize("ord_1", c.token)
			if c.off {
				h.cancel("ord_1")
			}
			body := []byte(`{"type":"payment.` + c.kind + `","timestamp":"2026-01-02T03:04:05Z","data":{"id":"` + i.ProviderID + `"}}`)
			for range 2 {
				if err := h.Webhook(ctx, "sandbox", sandbox.Sign(secret, "evt_1_1", time.Now(), body), body); err != nil {
					t.Fatal(err)
				}
			}
			if stored, due := h.webhooksWhere("1 = 1"), h.webhooksWhere("due_at > 0"); stored != 1 || due != c.due {
				t.Errorf("%d stored and %d to be followed, want 1 and %d", stored, due, c.due)
			}
		})
	}
}

func TestAWebhookOvertakesTheAnswer(t *testing.T) {
	answered := make(chan struct{})
	h := open(t, t.TempDir(), setup{wrap: func(_ *shop, p provider.Provider) provider.Provider {
		return &faulty{Provider: p, confirm: func(next func() (provider.Payment, error)) (provider.Payment, error) {
			payment, err := next()
			<-answered
			return payment, err
		}}
	}})
	answer := make(chan intent.Intent, 1)
	go func() {
		i, _ := h.Authorize(ctx, ask("ord_1", "tok_ok"))
		answer <- i
	}()
	for h.confirmations() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := h.webhook("evt_1_1", "sbx_1_1"); err != nil {
		t.Fatal(err)
	}
	h.eventually("due_at = 0", 1)
	if told := h.told("ord_1"); told != "Authorized" {
		t.Errorf("before the answer told %q", told)
	}
	close(answered)
	if i := <-answer; i.State != intent.Authorized {
		t.Errorf("answered %s", i.State)
	}
	if _, lines := h.held(); lines != 1 || h.told("ord_1") != "Authorized" {
		t.Errorf("%d lines on the hold, told %q", lines, h.told("ord_1"))
	}
}

func TestAnUnmatchedWebhookIsKeptTriedAndExpires(t *testing.T) {
	dir := t.TempDir()
	options := fast()
	options.WebhookKeep = 50 * time.Millisecond
	h := open(t, dir, setup{options: options})
	strange, err := h.sandbox.Create(ctx, provider.Draft{Key: "k", Reference: "somebody's", Amount: pounds, Token: "tok_ok"})
	if err != nil {
		t.Fatal(err)
	}
	for event, payment := range map[string]string{"evt_9_1": strange.ID, "evt_9_2": "sbx_9_9"} {
		if err := h.webhook(event, payment); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually("due_at > 0 AND tries > 1", 2)
	h.stop()
	time.Sleep(options.WebhookKeep)
	again := open(t, dir, setup{options: options}) // sweeps at its start
	again.eventually("1 = 1", 0)
}

func TestAWebhookOfAPaymentCalledOffBeforeItWasStored(t *testing.T) {
	h := open(t, t.TempDir(), setup{})
	h.cancel("ord_1")
	made, err := h.sandbox.Create(ctx, provider.Draft{Key: "ord_1/pay/1", Reference: "ord_1", Amount: pounds, Token: "tok_ok"})
	if err == nil {
		_, err = h.sandbox.Confirm(ctx, made.ID, "ord_1/pay/1") // an earlier process did, before its disk was lost
	}
	if err == nil {
		err = h.webhook("evt_1_1", made.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.eventually("due_at = 0", 1)
	page, _, err := h.List(ctx, app.Selection{Order: "ord_1"})
	if err != nil || len(page) != 1 {
		t.Fatalf("stored %+v, %v", page, err)
	}
	h.becomes(page[0].ID, intent.Voided)
	h.hasHeld(false)
	h.clean()
}

// TestAllAtOnce lets clients, webhooks, the reconciler and cancellations meet
// on the same intents.
func TestAllAtOnce(t *testing.T) {
	h := open(t, t.TempDir(), setup{webhooks: true, sandbox: sandbox.Options{LateFor: 30 * time.Millisecond, ReorderBy: 10 * time.Millisecond}})
	tokens := []string{
		"tok_ok", "tok_dies", "tok_slow:40ms", "tok_slow:350ms", "tok_timeout:320ms", "tok_declined",
		"tok_pending_declined:310ms", "tok_dup_webhook", "tok_late_webhook", "tok_reorder_webhooks", "tok_no_webhook",
	}
	const rounds = 4
	var all sync.WaitGroup
	for n := range rounds * len(tokens) {
		order, token, canceled := fmt.Sprintf("ord_%d", n), tokens[n%len(tokens)], n%3 == 0
		for range 2 {
			all.Go(func() { _, _ = h.Authorize(ctx, ask(order, token)) })
		}
		all.Go(func() {
			for e := range 5 {
				time.Sleep(rand.N(5 * time.Millisecond))
				_ = h.webhook(fmt.Sprintf("evt_7_%d_%d", n, e%2), fmt.Sprintf("sbx_1_%d", n+1))
			}
		})
		if canceled {
			all.Go(func() {
				time.Sleep(rand.N(60 * time.Millisecond))
				_, _ = h.Cancel(ctx, off(order))
			})
		}
	}
	all.Wait()
	h.settled()
	h.clean()
	for n := range rounds * len(tokens) {
		order, canceled := fmt.Sprintf("ord_%d", n), n%3 == 0
		if charged := h.charged(order); charged > 1 || canceled && charged > 0 {
			t.Errorf("%s is charged %d times; canceled: %v", order, charged, canceled)
		}
	}
}

// settled waits until no intent is unfinished.
func (h *shop) settled() {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		unfinished := 0
		page, _, err := h.List(ctx, app.Selection{Limit: 1000})
		for _, i := range page {
			if !i.State.Final() {
				unfinished++
			}
		}
		if err == nil && unfinished == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%d intents stay unfinished, %v", unfinished, err)
		}
	}
}
