package sandbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
	"github.com/seed-21071466/souk/services/payments/provider/sandbox"
)

func authorized(t testing.TB, s *sandbox.Sandbox, key, token string) string {
	t.Helper()
	id := create(t, s, key, token)
	if p, err := s.Confirm(ctx, id, "a"); err != nil || p.Status != provider.Authorized {
		t.Fatalf("%s: %v, %v", token, p.Status, err)
	}
	return id
}

func capture(t testing.TB, s *sandbox.Sandbox, id, key string, minor int64, final bool) provider.Operation {
	t.Helper()
	o, err := s.Capture(ctx, id, key, money.Of(minor, "GBP"), final)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func has(t testing.TB, s *sandbox.Sandbox, id string, status provider.Status, captured, refunded int64) {
	t.Helper()
	p, err := s.Get(ctx, id)
	if err != nil || p.Status != status || p.Captured != captured || p.Refunded != refunded {
		t.Fatalf("%+v, %v; want %v with %d captured and %d refunded", p, err, status, captured, refunded)
	}
}

func TestOperationsWhoseAnswerIsLostAreDoneOnce(t *testing.T) {
	s := open(t, t.TempDir(), sandbox.Options{})
	id := authorized(t, s, "a", "tok_capture_dies")
	if o, err := s.Capture(ctx, id, "cap_1", money.Of(60, "GBP"), true); err == nil {
		t.Errorf("the answer of the capture arrived: %+v", o)
	}
	if o := capture(t, s, id, "cap_1", 60, true); !o.Done {
		t.Errorf("asked again: %+v", o)
	}
	has(t, s, id, provider.Captured, 60, 0)

	id = authorized(t, s, "b", "tok_refund_dies")
	capture(t, s, id, "cap_2", 60, true)
	if o, err := s.Refund(ctx, id, "rfd_1", money.Of(50, "GBP")); err == nil {
		t.Errorf("the answer of the refund arrived: %+v", o)
	}
	if o, err := s.Refund(ctx, id, "rfd_1", money.Of(50, "GBP")); err != nil || !o.Done {
		t.Errorf("asked again: %+v, %v", o, err)
	}
	has(t, s, id, provider.Captured, 60, 50)
}

func TestACaptureThatIsAlwaysRefused(t *testing.T) {
	s := open(t, t.TempDir(), sandbox.Options{})
	id := authorized(t, s, "a", "tok_capture_declined")
	for range 3 {
		if o := capture(t, s, id, "cap_1", 60, true); o.Done || o.Reason != "capture_refused" {
			t.Fatalf("%+v", o)
		}
	}
	has(t, s, id, provider.Authorized, 0, 0)
}

func TestATokenMakesTheAuthorizationLapse(t *testing.T) {
	fake := clock.NewFake(time.Now())
	s := open(t, t.TempDir(), sandbox.Options{Clock: fake})
	whole, part := authorized(t, s, "a", "tok_expires:1m"), authorized(t, s, "b", "tok_expires:1m")
	capture(t, s, part, "cap_1", 60, false)
	fake.Advance(time.Minute - time.Millisecond)
	has(t, s, whole, provider.Authorized, 0, 0)
	fake.Advance(time.Millisecond)
	for id, key := range map[string]string{whole: "cap_2", part: "cap_3"} {
		if o := capture(t, s, id, key, 40, true); o.Done || o.Reason != provider.RefusedExpired {
			t.Errorf("captured after it lapsed: %+v", o)
		}
	}
	has(t, s, whole, provider.Canceled, 0, 0)
	has(t, s, part, provider.Captured, 60, 0)
	if o := capture(t, s, part, "cap_1", 60, false); !o.Done {
		t.Errorf("what was captured before: %+v", o)
	}
}

func TestOperationsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, sandbox.Options{})
	taken, refused := authorized(t, first, "a", "tok_ok"), authorized(t, first, "b", "tok_capture_declined_once")
	capture(t, first, taken, "cap_1", 60, false)
	capture(t, first, refused, "cap_2", 60, true)
	if _, err := first.Refund(ctx, taken, "rfd_1", money.Of(10, "GBP")); err != nil {
		t.Fatal(err)
	}

	second := open(t, dir, sandbox.Options{SingleCapture: true}) // the first is not closed: it was killed
	has(t, second, taken, provider.Authorized, 60, 10)
	for _, o := range []provider.Operation{
		capture(t, second, taken, "cap_1", 60, false), capture(t, second, taken, "cap_3", 40, false), capture(t, second, refused, "cap_2", 60, true),
	} {
		if !o.Done {
			t.Errorf("after a restart: %+v", o)
		}
	}
	if o, err := second.Refund(ctx, taken, "rfd_1", money.Of(10, "GBP")); err != nil || !o.Done {
		t.Errorf("after a restart: %+v, %v", o, err)
	}
	has(t, second, taken, provider.Captured, 100, 10)
	has(t, second, refused, provider.Captured, 60, 0)
}

func TestOperationsAreAnnounced(t *testing.T) {
	var receiver shop
	verifier := open(t, t.TempDir(), sandbox.Options{})
	s := open(t, t.TempDir(), sandbox.Options{WebhookURL: receiver.serve(t, verifier.VerifyWebhook)})
	id := authorized(t, s, "a", "tok_ok")
	receiver.wait(t, 1)
	capture(t, s, id, "cap_1", 60, false)
	receiver.wait(t, 1)
	if _, err := s.Refund(ctx, id, "rfd_1", money.Of(10, "GBP")); err != nil {
		t.Fatal(err)
	}
	receiver.wait(t, 1)
	if _, err := s.Cancel(ctx, id); err != nil {
		t.Fatal(err)
	}
	type told struct {
		kind               string
		status             provider.Status
		captured, refunded int64
	}
	for i, want := range []told{
		{"payment.authorized", provider.Authorized, 0, 0},
		{"payment.captured", provider.Authorized, 60, 0},
		{"payment.refunded", provider.Authorized, 60, 10},
		{"payment.canceled", provider.Captured, 60, 10},
	} {
		if i == 3 {
			receiver.wait(t, 1)
		}
		receiver.mu.Lock()
		e := receiver.events[i]
		receiver.mu.Unlock()
		if got := (told{e.Kind, e.Status, e.Captured, e.Refunded}); got != want || e.PaymentID != id {
			t.Errorf("told %+v, want %+v", got, want)
		}
	}
}

func TestAnUnsentAnnouncementOfACaptureOutlivesTheProcess(t *testing.T) {
	dir, receiver := t.TempDir(), shop{}
	verifier := open(t, t.TempDir(), sandbox.Options{})
	url := receiver.serve(t, verifier.VerifyWebhook)
	first := open(t, dir, sandbox.Options{WebhookURL: "http://127.0.0.1:1/gone", Clock: clock.NewFake(time.Now())})
	capture(t, first, authorized(t, first, "a", "tok_ok"), "cap_1", 60, true)
	_ = first.Close()
	open(t, dir, sandbox.Options{WebhookURL: url})
	for _, e := range receiver.wait(t, 2) {
		if e.Kind == "payment.captured" && (e.Status != provider.Captured || e.Captured != 60) {
			t.Errorf("told %+v", e)
		}
	}
}

func TestMalformedOperationsMoveNothing(t *testing.T) {
	s := open(t, t.TempDir(), sandbox.Options{})
	id := authorized(t, s, "a", "tok_ok")
	for name, try := range map[string]func() (provider.Operation, error){
		"no key":           func() (provider.Operation, error) { return s.Capture(ctx, id, "", money.Of(1, "GBP"), true) },
		"a quote":          func() (provider.Operation, error) { return s.Capture(ctx, id, `"`, money.Of(1, "GBP"), true) },
		"nothing":          func() (provider.Operation, error) { return s.Refund(ctx, id, "rfd_1", money.Of(0, "GBP")) },
		"another currency": func() (provider.Operation, error) { return s.Capture(ctx, id, "cap_1", money.Of(1, "EUR"), true) },
	} {
		if o, err := try(); err == nil && o.Done {
			t.Errorf("%s: %+v", name, o)
		}
	}
	has(t, s, id, provider.Authorized, 0, 0)
}

func BenchmarkCapture(b *testing.B) {
	s := open(b, b.TempDir(), sandbox.Options{})
	for i := range b.N {
		key := "ord_" + time.Duration(i).String()
		if o, err := s.Capture(context.Background(), authorized(b, s, key, "tok_ok"), "cap_"+key, money.Of(100, "GBP"), true); err != nil || !o.Done {
			b.Fatal(o, err)
		}
	}
}
