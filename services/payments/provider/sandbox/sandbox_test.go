package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/providertest"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte("0123456789abcdef0123456789abcdef")

var ctx = context.Background()

func open(t testing.TB, dir string, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	o.Secret = secret
	s, err := sandbox.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestProvider(t *testing.T) {
	for name, o := range map[string]sandbox.Options{"captures in parts": {}, "captures once": {SingleCapture: true}} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Subject { return subject(open(t, t.TempDir(), o)) })
		})
	}
}

func subject(s *sandbox.Sandbox) providertest.Subject {
	return providertest.Subject{
		Provider: s, OK: "tok_ok", Declined: "tok_declined_insufficient_funds", Now: time.Now,
		CaptureRefusedOnce: "tok_capture_declined_once", RefundRefusedOnce: "tok_refund_declined_once",
		Webhook: func(at time.Time, id string) (http.Header, []byte) {
			body := []byte(`{"type":"payment.authorized","timestamp":"2026-01-02T03:04:05Z","data":{"id":"` + id + `"}}`)
			return sandbox.Sign(secret, "evt_1_1", at, body), body
		},
	}
}

func create(t testing.TB, s *sandbox.Sandbox, key, token string) string {
	t.Helper()
	p, err := s.Create(ctx, provider.Draft{Key: key, Reference: "ord_1", Amount: money.Of(100, "GBP"), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func status(t testing.TB, s *sandbox.Sandbox, id string) provider.Status {
	t.Helper()
	p, err := s.Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return p.Status
}

func TestTokensThatLoseTheAnswer(t *testing.T) {
	for token, want := range map[string]struct{ first, later provider.Status }{
		"tok_dies":                {provider.Authorized, provider.Authorized},
		"tok_timeout:1m":          {provider.Pending, provider.Authorized},
		"tok_pending_declined:1m": {provider.Pending, provider.Declined},
		"tok_slow:1m":             {provider.Pending, provider.Authorized},
		"tok_lost":                {provider.Pending, provider.Pending},
	} {
		t.Run(token, func(t *testing.T) {
			fake := clock.NewFake(time.Now())
			s := open(t, t.TempDir(), sandbox.Options{Clock: fake})
			id := create(t, s, "k", token)
			impatient, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			if _, err := s.Confirm(impatient, id, "a"); err == nil {
				t.Error("the answer arrived")
			}
			if got := status(t, s, id); got != want.first {
				t.Errorf("first %v, want %v", got, want.first)
			}
			fake.Advance(time.Minute)
			if got := status(t, s, id); got != want.later {
				t.Errorf("later %v, want %v", got, want.later)
			}
		})
	}
}

func TestSlowAnswersWhenItHasSettled(t *testing.T) {
	s := open(t, t.TempDir(), sandbox.Options{SlowFor: 20 * time.Millisecond})
	start := time.Now()
	p, err := s.Confirm(ctx, create(t, s, "k", "tok_slow"), "a")
	if err != nil || p.Status != provider.Authorized || time.Since(start) < 20*time.Millisecond {
		t.Fatalf("%+v, %v after %v", p, err, time.Since(start))
	}
}

func TestPendingPaymentsCannotBeCanceledUnlessLost(t *testing.T) {
	s := open(t, t.TempDir(), sandbox.Options{PendingFor: time.Hour})
	impatient, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	pending, lost := create(t, s, "p", "tok_timeout"), create(t, s, "l", "tok_lost")
	_, _ = s.Confirm(impatient, pending, "a")
	_, _ = s.Confirm(impatient, lost, "a")
	if _, err := s.Cancel(ctx, pending); !errors.Is(err, provider.ErrPending) {
		t.Errorf("cancel pending: %v", err)
	}
	if p, err := s.Cancel(ctx, lost); err != nil || p.Status != provider.Canceled {
		t.Errorf("cancel lost: %v, %v", p.Status, err)
	}
}

func TestAnAuthorizationLapses(t *testing.T) {
	fake := clock.NewFake(time.Now())
	s := open(t, t.TempDir(), sandbox.Options{Clock: fake})
	id := create(t, s, "k", "tok_ok")
	_, _ = s.Confirm(ctx, id, "a")
	fake.Advance(7 * 24 * time.Hour)
	if p, err := s.Get(ctx, id); err != nil || p.Status != provider.Canceled || p.Reason != "expired" {
		t.Fatalf("%+v, %v", p, err)
	}
}

func TestTheBooksOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, sandbox.Options{PendingFor: 30 * time.Millisecond})
	authorized, unconfirmed, pending := create(t, first, "a", "tok_ok"), create(t, first, "b", "tok_ok"), create(t, first, "c", "tok_timeout")
	_, _ = first.Confirm(ctx, authorized, "x")
	impatient, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, _ = first.Confirm(impatient, pending, "x")

	second := open(t, dir, sandbox.Options{PendingFor: 30 * time.Millisecond}) // the first is not closed: it was killed
	if got := status(t, second, authorized); got != provider.Authorized {
		t.Errorf("authorized: %v", got)
	}
	if again := create(t, second, "b", "tok_ok"); again != unconfirmed {
		t.Errorf("the key made %s and after a restart %s", unconfirmed, again)
	}
	time.Sleep(40 * time.Millisecond)
	if got := status(t, second, pending); got != provider.Authorized {
		t.Errorf("pending: %v", got)
	}
	if fresh := create(t, second, "d", "tok_ok"); fresh == unconfirmed || fresh == pending || fresh == authorized {
		t.Errorf("id %s was given twice", fresh)
	}
}

func TestATornLastLineIsRepaired(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.jsonl")
	s := open(t, dir, sandbox.Options{})
	kept, torn := create(t, s, "a", "tok_ok"), create(t, s, "b", "tok_ok")
	_ = s.Close
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, sandbox.Options{})
	status(t, again, kept)
	if _, err := again.Get(ctx, torn); !errors.Is(err, provider.ErrNotFound) {
		t.Fatalf("the torn payment: %v", err)
	}
	if fresh := create(t, again, "c", "tok_ok"); fresh == torn {
		t.Fatalf("the torn payment's id %s was given to another", torn)
	}
	open(t, dir, sandbox.Options{})
}

func TestABrokenLineInTheMiddleIsNotRepaired(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.jsonl")
	s := open(t, dir, sandbox.Options{})
	create(t, s, "a", "tok_ok")
	whole, _ := os.ReadFile(path)
	whole[3] = '#'
	_ = os.WriteFile(path, whole, 0o600)
	again := open(t, dir, sandbox.Options{})
	if _, err := again.Get(ctx, "sbx_1_1"); err == nil || errors.Is(err, provider.ErrNotFound) {
		t.Errorf("a journal with a broken first line answered %v", err)
	}
	if _, err := again.Create(ctx, provider.Draft{Key: "b", Amount: money.Of(1, "GBP"), Token: "tok_ok"}); err == nil {
		t.Error("a journal with a broken first line was written to")
	}
	_ = again.Close()
	if after, _ := os.ReadFile(path); string(after) != string(whole) {
		t.Error("a broken journal was changed")
	}
}

func TestReadSeesWhatTheProviderSees(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, sandbox.Options{})
	id := create(t, s, "a", "tok_ok")
	want, err := s.Confirm(ctx, id, "x")
	if err != nil {
		t.Fatal(err)
	}
	var got []provider.Payment
	err = sandbox.Read(dir, func(p provider.Payment) error { got = append(got, p); return nil })
	if err != nil || len(got) != 1 || got[0] != want {
		t.Fatalf("read %+v, %v; want %+v", got, err, want)
	}
}

// shop receives webhooks, verifying each.
type shop struct {
	mu     sync.Mutex
	refuse int // deliveries to refuse first
	events []provider.Event
	got    chan struct{}
}

func (h *shop) serve(t *testing.T, verify func(http.Header, []byte) (provider.Event, error)) string {
	h.got = make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		event, err := verify(r.Header, body)
		if err != nil {
			t.Errorf("webhook %s: %v", body, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.refuse > 0 {
			h.refuse--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.events = append(h.events, event)
		h.got <- struct{}{}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (h *shop) wait(t *testing.T, n int) []provider.Event {
	t.Helper()
	for range n {
		select {
		case <-h.got:
		case <-time.After(5 * time.Second):
			t.Fatalf("only %d webhooks, want %d", len(h.events), n)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events
}

func TestWebhooksArriveAsTheTokenSays(t *testing.T) {
	for token, want := range map[string][]string{
		"tok_ok":               {"payment.authorized"},
		"tok_declined":         {"payment.declined"},
		"tok_dup_webhook":      {"payment.authorized", "payment.authorized"},
		"tok_reorder_webhooks": {"payment.authorized", "payment.pending"},
		"tok_late_webhook":     {"payment.authorized"},
	} {
		t.Run(token, func(t *testing.T) {
			var receiver shop
			verifier := open(t, t.TempDir(), sandbox.Options{})
			s := open(t, t.TempDir(), sandbox.Options{
				WebhookURL: receiver.serve(t, verifier.VerifyWebhook), LateFor: 30 * time.Millisecond, ReorderBy: 30 * time.Millisecond,
			})
			start, id := time.Now(), create(t, s, "k", token)
			_, _ = s.Confirm(ctx, id, "a")
			events := receiver.wait(t, len(want))
			for i, e := range events {
				if e.Kind != want[i] || e.PaymentID != id {
					t.Errorf("webhook %d is %+v, want %s", i, e, want[i])
				}
			}
			if token == "tok_dup_webhook" && events[0].ID != events[1].ID {
				t.Error("the duplicate has an id of its own")
			}
			if token == "tok_late_webhook" && time.Since(start) < 30*time.Millisecond {
				t.Error("the late webhook was on time")
			}
		})
	}
}

func TestAnUnsentWebhookIsRetriedAndOutlivesTheProcess(t *testing.T) {
	dir, receiver := t.TempDir(), shop{refuse: 1}
	verifier := open(t, t.TempDir(), sandbox.Options{})
	url := receiver.serve(t, verifier.VerifyWebhook)
	fake := clock.NewFake(time.Now())
	first := open(t, dir, sandbox.Options{WebhookURL: "http://127.0.0.1:1/gone", Clock: fake})
	_, _ = first.Confirm(ctx, create(t, first, "k", "tok_ok"), "a")
	_ = first.Close()
	open(t, dir, sandbox.Options{WebhookURL: url}) // refused once, then retried after a second
	receiver.wait(t, 1)
}

func TestNothingSentIsSentAgain(t *testing.T) {
	dir, receiver := t.TempDir(), shop{}
	verifier := open(t, t.TempDir(), sandbox.Options{})
	url := receiver.serve(t, verifier.VerifyWebhook)
	first := open(t, dir, sandbox.Options{WebhookURL: url})
	_, _ = first.Confirm(ctx, create(t, first, "k", "tok_ok"), "a")
	receiver.wait(t, 1)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if lines, _ := os.ReadFile(filepath.Join(dir, "journal.jsonl")); strings.Contains(string(lines), `"t":"sent"`) {
			break
		}
	}
	_ = first.Close()
	second := open(t, dir, sandbox.Options{WebhookURL: url})
	_, _ = second.Confirm(ctx, create(t, second, "l", "tok_declined"), "a")
	if events := receiver.wait(t, 1); len(events) != 2 || events[1].Kind != "payment.declined" {
		t.Fatalf("after a restart %+v", events)
	}
}

func TestMemoryOfAHundredThousandPayments(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 100,000 payments")
	}
	dir := t.TempDir()
	s := open(t, dir, sandbox.Options{})
	before := heap()
	for i := range 100_000 {
		create(t, s, "ord_01JD0000000000000000"+strconv.Itoa(i)+"/pay/1", "tok_ok")
	}
	if used := heap() - before; used > 25<<20 {
		t.Errorf("100,000 payments take %d MB", used>>20)
	} else {
		t.Logf("100,000 payments take %.1f MB", float64(used)/(1<<20))
	}
	start := time.Now()
	again := open(t, dir, sandbox.Options{})
	opened := time.Since(start)
	status(t, again, "sbx_1_100000")
	t.Logf("reopened in %v, the first call was answered after %v", opened, time.Since(start))
	runtime.KeepAlive(s)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkConfirm(b *testing.B) {
	s := open(b, b.TempDir(), sandbox.Options{})
	var n sync.Mutex
	i := 0
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n.Lock()
			i++
			key := strconv.Itoa(i)
			n.Unlock()
			if _, err := s.Confirm(ctx, create(b, s, key, "tok_ok"), "a"); err != nil {
				b.Error(err)
			}
		}
	})
}

func Example() {
	dir, _ := os.MkdirTemp("", "sandbox")
	defer os.RemoveAll(dir)
	s, err := sandbox.Open(dir, sandbox.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	p, _ := s.Create(context.Background(), provider.Draft{
		Key: "ord_1/pay/1", Reference: "ord_1", Amount: money.Of(1999, "GBP"), Token: "tok_ok",
	})
	fmt.Println(p.Status)
	p, _ = s.Confirm(context.Background(), p.ID, "ord_1/pay/1")
	fmt.Println(p.Status, p.Amount)
	o, _ := s.Capture(context.Background(), p.ID, "cap_1", money.Of(1500, "GBP"), true)
	fmt.Println(o.Done, o.Payment.Status, o.Payment.Captured)
	o, _ = s.Refund(context.Background(), p.ID, "rfd_1", money.Of(2000, "GBP"))
	fmt.Println(o.Done, o.Reason)
	// Output:
	// created
	// authorized 19.99 GBP
	// true captured 1500
	// false exceeds_captured
}
