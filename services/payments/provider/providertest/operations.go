package providertest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// authorized is a payment of 12.34 that is held.
func (s Subject) authorized(t *testing.T, token string) string {
	t.Helper()
	p := s.confirm(t, s.create(t, "ord_1/pay/1", token).ID)
	if p.Status != provider.Authorized {
		t.Fatalf("%s is %v", token, p.Status)
	}
	return p.ID
}

func (s Subject) capture(t *testing.T, id, key string, minor int64, final bool) provider.Operation {
	t.Helper()
	o, err := s.Provider.Capture(context.Background(), id, key, money.Of(minor, "GBP"), final)
	if err != nil {
		t.Fatalf("capture %s of %s: %v", key, id, err)
	}
	return o
}

func (s Subject) refund(t *testing.T, id, key string, minor int64) provider.Operation {
	t.Helper()
	o, err := s.Provider.Refund(context.Background(), id, key, money.Of(minor, "GBP"))
	if err != nil {
		t.Fatalf("refund %s of %s: %v", key, id, err)
	}
	return o
}

// sums checks what a reading says of a payment's money.
func (s Subject) sums(t *testing.T, id string, status provider.Status, captured, refunded int64) {
	t.Helper()
	if p := s.has(t, id, status); p.Captured != captured || p.Refunded != refunded {
		t.Fatalf("captured %d and refunded %d, want %d and %d", p.Captured, p.Refunded, captured, refunded)
	}
}

func captures(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	o := s.capture(t, id, "cap_1", 1234, false)
	if !o.Done || o.Reason != "" || o.Payment != s.has(t, id, provider.Captured) {
		t.Fatalf("captured %+v", o)
	}
	s.sums(t, id, provider.Captured, 1234, 0)
}

func capturesInParts(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	parts := s.has(t, id, provider.Authorized).MultiCapture
	if parts != s.Provider.Capabilities().MultiCapture {
		t.Fatalf("the payment says %v, the provider %v", parts, !parts)
	}
	s.capture(t, id, "cap_1", 1000, false)
	second := s.capture(t, id, "cap_2", 234, false)
	if second.Done != parts {
		t.Fatalf("captured again: %+v", second)
	}
	if parts {
		s.sums(t, id, provider.Captured, 1234, 0)
	} else {
		s.sums(t, id, provider.Captured, 1000, 0)
	}
}

func capturesFinally(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	s.capture(t, id, "cap_1", 1000, true)
	if o := s.capture(t, id, "cap_2", 1, false); o.Done || o.Reason == "" {
		t.Fatalf("captured what was let go of: %+v", o)
	}
	s.sums(t, id, provider.Captured, 1000, 0)
}

func capturesOnce(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			o, err := s.Provider.Capture(context.Background(), id, "cap_1", money.Of(1000, "GBP"), true)
			if err != nil || !o.Done || o.Payment.Captured != 1000 {
				t.Errorf("capture again: %+v, %v", o, err)
			}
		})
	}
	all.Wait()
	s.refund(t, id, "rfd_1", 1000)
	if o := s.capture(t, id, "cap_1", 1000, true); !o.Done {
		t.Fatalf("after its refund: %+v", o)
	}
	s.sums(t, id, provider.Captured, 1000, 1000)
}

func refusesReusedOperation(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	s.capture(t, id, "cap_1", 1000, true)
	_, another := s.Provider.Capture(context.Background(), id, "cap_1", money.Of(999, "GBP"), true)
	_, refund := s.Provider.Refund(context.Background(), id, "cap_1", money.Of(1000, "GBP"))
	if !errors.Is(another, provider.ErrKeyReused) || !errors.Is(refund, provider.ErrKeyReused) {
		t.Fatalf("another amount: %v; a refund: %v", another, refund)
	}
	s.sums(t, id, provider.Captured, 1000, 0)
}

func refusesTooMuch(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	if o := s.capture(t, id, "cap_1", 1235, true); o.Done || o.Reason == "" {
		t.Fatalf("captured more than was held: %+v", o)
	}
	s.sums(t, id, provider.Authorized, 0, 0)
	if o := s.capture(t, id, "cap_1", 1234, true); !o.Done {
		t.Fatalf("its key again, for what is held: %+v", o)
	}
}

func refusesUnheld(t *testing.T, s Subject) {
	created, canceled := s.create(t, "k", s.OK).ID, s.authorized(t, s.OK)
	s.cancel(t, canceled)
	for _, id := range []string{created, canceled} {
		if o := s.capture(t, id, "cap_"+id, 1, true); o.Done || o.Reason == "" {
			t.Errorf("captured %+v", o)
		}
		if o := s.refund(t, id, "rfd_"+id, 1); o.Done || o.Reason == "" {
			t.Errorf("refunded %+v", o)
		}
	}
	_, capture := s.Provider.Capture(context.Background(), "nothing", "cap_1", money.Of(1, "GBP"), true)
	_, refund := s.Provider.Refund(context.Background(), "nothing", "rfd_1", money.Of(1, "GBP"))
	if !errors.Is(capture, provider.ErrNotFound) || !errors.Is(refund, provider.ErrNotFound) {
		t.Errorf("of a payment that was never made: %v, %v", capture, refund)
	}
}

func retriesCapture(t *testing.T, s Subject) {
	id := s.authorized(t, s.CaptureRefusedOnce)
	if o := s.capture(t, id, "cap_1", 1000, true); o.Done || o.Reason == "" {
		t.Fatalf("at first %+v", o)
	}
	s.sums(t, id, provider.Authorized, 0, 0)
	if o := s.capture(t, id, "cap_1", 1000, true); !o.Done {
		t.Fatalf("then %+v", o)
	}
	s.sums(t, id, provider.Captured, 1000, 0)
}

func cancelsTheRest(t *testing.T, s Subject) {
	if !s.Provider.Capabilities().MultiCapture {
		t.Skip("this provider does not capture in parts")
	}
	id := s.authorized(t, s.OK)
	s.capture(t, id, "cap_1", 1000, false)
	for range 2 {
		if p, err := s.Provider.Cancel(context.Background(), id); err != nil || p.Status != provider.Captured || p.Captured != 1000 {
			t.Fatalf("canceled the rest: %+v, %v", p, err)
		}
	}
	if o := s.capture(t, id, "cap_2", 234, false); o.Done {
		t.Fatalf("captured the rest all the same: %+v", o)
	}
}

func refunds(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	s.capture(t, id, "cap_1", 1000, true)
	for range 2 {
		if o := s.refund(t, id, "rfd_1", 400); !o.Done || o.Payment.Refunded != 400 {
			t.Fatalf("refunded %+v", o)
		}
	}
	s.refund(t, id, "rfd_2", 600)
	s.sums(t, id, provider.Captured, 1000, 1000)
}

func refusesRefundTooMuch(t *testing.T, s Subject) {
	id := s.authorized(t, s.OK)
	s.capture(t, id, "cap_1", 1000, true)
	s.refund(t, id, "rfd_1", 600)
	if o := s.refund(t, id, "rfd_2", 401); o.Done || o.Reason == "" {
		t.Fatalf("refunded more than was captured: %+v", o)
	}
	s.sums(t, id, provider.Captured, 1000, 600)
}

func retriesRefund(t *testing.T, s Subject) {
	id := s.authorized(t, s.RefundRefusedOnce)
	s.capture(t, id, "cap_1", 1000, true)
	if o := s.refund(t, id, "rfd_1", 1000); o.Done || o.Reason == "" {
		t.Fatalf("at first %+v", o)
	}
	if o := s.refund(t, id, "rfd_1", 1000); !o.Done {
		t.Fatalf("then %+v", o)
	}
	s.sums(t, id, provider.Captured, 1000, 1000)
}
