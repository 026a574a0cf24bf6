package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/app"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ctx    = context.Background()
	secret = []byte("0123456789abcdef0123456789abcdef")
	pounds = money.Of(1999, "GBP")
)

// shop is the room on real files, with the sandbox as its provider.
type shop struct {
	*app.Payments
	t       testing.TB
	dir     string
	store   *sqlstore.Store
	events  *eventlog.Log
	sandbox *sandbox.Sandbox
	stop    func()
}

// setup is how a shop is opened; the zero value is a patient one without webhooks.
type setup struct {
	wrap     func(*shop, provider.Provider) provider.Provider
	options  app.Options
	sandbox  sandbox.Options
	webhooks bool
	idle     bool  // the unattended work is not begun
	beside   *shop // another process, whose store and provider it shares
	shared   bool  // another will come
}

func fast() app.Options {
	return app.Options{ConfirmTimeout: 300 * time.Millisecond, RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond}
}

func open(t testing.TB, dir string, s setup) *shop {
	t.Helper()
	h := &shop{t: t, dir: dir}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	h.store, err = sqlstoretest.Open(ctx, filepath.Join(dir, "payments.db"), sqlstore.Options{
		Name: "payments", Schemas: []sqlstore.Schema{app.Schema(), eventlog.Schema(), idem.Schema()}, Log: quiet,
		Shared: s.shared || s.beside != nil,
	})
	must(err)
	h.events, err = eventlog.New(h.store)
	must(err)
	s.sandbox.Secret = secret
	server := httptest.NewServer(http.HandlerFunc(h.receive))
	if s.webhooks {
		s.sandbox.WebhookURL = server.URL
	}
	if s.beside != nil {
		h.sandbox = s.beside.sandbox
	} else {
		h.sandbox, err = sandbox.Open(filepath.Join(dir, "provider"), s.sandbox)
		must(err)
	}
	var p provider.Provider = h.sandbox
	if s.wrap != nil {
		p = s.wrap(h, p)
	}
	if s.options == (app.Options{}) {
		s.options = fast()
	}
	h.Payments = app.New(app.Deps{
		Store: h.store, Events: h.events, Provider: p, Clock: clock.System{}, IDs: id.NewSource(clock.System{}), Log: quiet, Shop: "shop",
	}, s.options)
	running, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !s.idle {
			_ = h.Run(running)
		}
	}()
	var once atomic.Bool
	h.stop = func() {
		if once.Swap(true) {
			return
		}
		cancel()
		<-done
		_ = h.sandbox.Close()
		server.Close()
		_ = h.store.Close()
	}
	t.Cleanup(h.stop)
	return h
}

func (h *shop) receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if err := h.Webhook(r.Context(), "sandbox", r.Header, body); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func ask(order, token string) app.Authorization {
	return app.Authorization{Order: order, Run: "run_" + order, Attempt: 1, Amount: pounds, Token: token}
}

func off(order string) app.Cancellation {
	return app.Cancellation{Order: order, Run: "run_" + order, Reason: "test"}
}

func (h *shop) authorize(order, token string) intent.Intent {
	h.t.Helper()
	i, err := h.Authorize(ctx, ask(order, token))
	if err != nil {
		h.t.Fatalf("authorize %s: %v", order, err)
	}
	return i
}

func (h *shop) cancel(order string) intent.Intent {
	h.t.Helper()
	i, err := h.Cancel(ctx, off(order))
	if err != nil {
		h.t.Fatalf("cancel %s: %v", order, err)
	}
	return i
}

func (h *shop) refused(err error, code string) {
	h.t.Helper()
	if !problem.Is(err, code) {
		h.t.Fatalf("got %v, want it refused as %s", err, code)
	}
}

// becomes waits until the intent is in that state.
func (h *shop) becomes(id string, want intent.State) intent.Intent {
	h.t.Helper()
	var i intent.Intent
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		var err error
		if i, err = h.Get(ctx, id); err == nil && i.State == want {
			return i
		}
	}
	h.t.Fatalf("intent %s is %s and does not become %s", id, i.State, want)
	return i
}

// told is the names of an order's events.
func (h *shop) told(order string) string {
	h.t.Helper()
	var names []string
	err := h.store.View(ctx, func(tx sqlstore.Tx) error {
		names = nil
		records, err := h.events.Stream(tx, order, 0, 100)
		for _, r := range records {
			names = append(names, strings.TrimPrefix(r.Type, "Payment"))
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// held is what the ledger holds, and how many lines say so.
func (h *shop) held() (minor int64, lines int) {
	h.t.Helper()
	accounts, err := h.Accounts(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	var sum int64
	for _, a := range accounts {
		sum += a.Balance.Minor
		if a.Name == "authorized_hold" {
			minor, lines = a.Balance.Minor, a.Lines
		}
	}
	if sum != 0 {
		h.t.Fatalf("the accounts add up to %d", sum)
	}
	return minor, lines
}

// confirmations counts the confirmations in the provider's journal.
func (h *shop) confirmations() int { return h.calls("confirm") }

// charged counts the payments for which the provider holds an order's money.
func (h *shop) charged(order string) (n int) {
	h.t.Helper()
	err := sandbox.Read(filepath.Join(h.dir, "provider"), func(p provider.Payment) error {
		if p.Status == provider.Authorized && p.Reference == order {
			n++
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// clean fails the test if the audit finds anything.
func (h *shop) clean() {
	h.t.Helper()
	audit, err := h.Audit(ctx)
	if err != nil || len(audit.Findings) > 0 {
		h.t.Fatalf("audit: %+v, %v", audit.Findings, err)
	}
}

// webhook sends what the sandbox would about a payment.
func (h *shop) webhook(event, payment string) error {
	body := []byte(`{"type":"payment.authorized","timestamp":"2026-01-02T03:04:05Z","data":{"id":"` + payment + `"}}`)
	return h.Webhook(ctx, "sandbox", sandbox.Sign(secret, event, time.Now(), body), body)
}

// faulty lets a test step between the app and its provider.
type faulty struct {
	provider.Provider
	create  func(next func() (provider.Payment, error)) (provider.Payment, error)
	confirm func(next func() (provider.Payment, error)) (provider.Payment, error)
	cancel  func(next func() (provider.Payment, error)) (provider.Payment, error)
	capture func(next func() (provider.Operation, error)) (provider.Operation, error)
	refund  func(next func() (provider.Operation, error)) (provider.Operation, error)
}

func (f *faulty) Create(ctx context.Context, d provider.Draft) (provider.Payment, error) {
	next := func() (provider.Payment, error) { return f.Provider.Create(ctx, d) }
	if f.create == nil {
		return next()
	}
	return f.create(next)
}

func (f *faulty) Confirm(ctx context.Context, id, key string) (provider.Payment, error) {
	next := func() (provider.Payment, error) { return f.Provider.Confirm(ctx, id, key) }
	if f.confirm == nil {
		return next()
	}
	return f.confirm(next)
}

func (f *faulty) Cancel(ctx context.Context, id string) (provider.Payment, error) {
	next := func() (provider.Payment, error) { return f.Provider.Cancel(ctx, id) }
	if f.cancel == nil {
		return next()
	}
	return f.cancel(next)
}

func (f *faulty) Capture(ctx context.Context, id, key string, amount money.Money, final bool) (provider.Operation, error) {
	next := func() (provider.Operation, error) { return f.Provider.Capture(ctx, id, key, amount, final) }
	if f.capture == nil {
		return next()
	}
	return f.capture(next)
}

func (f *faulty) Refund(ctx context.Context, id, key string, amount money.Money) (provider.Operation, error) {
	next := func() (provider.Operation, error) { return f.Provider.Refund(ctx, id, key, amount) }
	if f.refund == nil {
		return next()
	}
	return f.refund(next)
}

// List lets the audit read the provider's books as they are.
func (f *faulty) List(ctx context.Context, cursor string, limit int) ([]provider.Payment, string, error) {
	return f.Provider.(provider.Lister).List(ctx, cursor, limit)
}

// capturing demands a capture, the whole of it final.
func capturing(order, id string, minor int64) app.Demand {
	return app.Demand{Kind: operation.Capture, ID: id, Order: order, Amount: money.Of(minor, "GBP"), Final: minor == pounds.Minor}
}

func refunding(order, id string, minor int64) app.Demand {
	return app.Demand{Kind: operation.Refund, ID: id, Order: order, Amount: money.Of(minor, "GBP"), Reason: "test"}
}

// operate demands, and wants the answer to be so.
func (h *shop) operate(d app.Demand, want operation.State) operation.Operation {
	h.t.Helper()
	o, err := h.Operate(ctx, d)
	if err != nil || o.State != want {
		h.t.Fatalf("%s %s: %s %q, %v; want %s", d.Kind, d.ID, o.State, o.Code, err, want)
	}
	return o
}

// comes waits until an operation has come out so.
func (h *shop) comes(d app.Demand, want operation.State) {
	h.t.Helper()
	var last operation.Operation
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		page, _, err := h.Operations(ctx, app.OperationSelection{Kind: d.Kind, Order: d.Order})
		for _, o := range page {
			if last = o; err == nil && o.ID == d.ID && o.State == want {
				return
			}
		}
	}
	h.t.Fatalf("%s %s is %s and does not become %s", d.Kind, d.ID, last.State, want)
}

// at is what the provider says of an order's money.
func (h *shop) at(order string) (captured, refunded int64) {
	h.t.Helper()
	err := sandbox.Read(filepath.Join(h.dir, "provider"), func(p provider.Payment) error {
		if p.Reference == order {
			captured += p.Captured
			refunded += p.Refunded
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return captured, refunded
}

// moved wants the provider and the ledger to have moved so much of an order, the
// only one, and nothing else to be held.
func (h *shop) moved(order string, captured, refunded, held int64) {
	h.t.Helper()
	if c, r := h.at(order); c != captured || r != refunded {
		h.t.Errorf("the provider captured %d and refunded %d, want %d and %d", c, r, captured, refunded)
	}
	accounts := h.balances()
	if accounts["provider_receivable"] != captured-refunded || accounts["authorized_hold"] != held {
		h.t.Errorf("the ledger has %v, want %d receivable and %d held", accounts, captured-refunded, held)
	}
	h.clean()
}

// balances is every account's balance.
func (h *shop) balances() map[string]int64 {
	h.t.Helper()
	accounts, err := h.Accounts(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	balances := map[string]int64{}
	for _, a := range accounts {
		balances[a.Name] += a.Balance.Minor
	}
	return balances
}

// calls counts lines of a type in the provider's journal.
func (h *shop) calls(typ string) int {
	h.t.Helper()
	journal, err := os.ReadFile(filepath.Join(h.dir, "provider", "journal.jsonl"))
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.Count(string(journal), `"t":"`+typ+`"`)
}
