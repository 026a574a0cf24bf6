// Package providertest is what payments relies on in every provider, as a
// suite. A driver runs it in a few lines; the sandbox is its first reader.
package providertest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// Subject is a provider under test and the tokens that make it behave.
type Subject struct {
	Provider provider.Provider
	OK       string // is authorized
	Declined string // is declined for want of funds
	// CaptureRefusedOnce is authorized, and its first capture refused.
	CaptureRefusedOnce string
	// RefundRefusedOnce is authorized and captured, and its first refund refused.
	RefundRefusedOnce string
	// Webhook makes the headers and the body of a webhook that the provider
	// would send at that time about that payment.
	Webhook func(at time.Time, paymentID string) (http.Header, []byte)
	// Now is the provider's clock.
	Now func() time.Time
}

// Run checks a provider. open is called once a test and cleans up by t.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"a payment is made unconfirmed and holds no money":      createsUnconfirmed,
		"the same key gives the same payment":                   createsOnce,
		"another payment under a used key is refused":           refusesReusedKey,
		"an unknown token is refused":                           refusesUnknownToken,
		"a confirmed payment is authorized and read so":         authorizes,
		"confirming at once and again authorizes once":          authorizesOnce,
		"a decline is an answer with a reason":                  declines,
		"an unconfirmed payment can be dropped":                 dropsUnconfirmed,
		"an authorized payment is voided, and again":            voids,
		"a payment that was never made is not found":            findsNothing,
		"a canceled payment is not confirmed any more":          keepsCanceled,
		"a webhook is read only with a fresh, true signature":   verifies,
		"what is listed is what was made, in that order":        lists,
		"an authorization lives for a declared time, if at all": declares,

		"a capture takes the money, and shows it":                 captures,
		"a capture in parts leaves the rest held, if that can be": capturesInParts,
		"a final capture lets go of the rest":                     capturesFinally,
		"a key captures once, at once and for ever":               capturesOnce,
		"a key that did something is not used for something else": refusesReusedOperation,
		"more than is held is not captured":                       refusesTooMuch,
		"what holds no money is not captured":                     refusesUnheld,
		"a refused capture is tried anew under its key":           retriesCapture,
		"canceling keeps what was captured":                       cancelsTheRest,
		"a refund gives back, once a key":                         refunds,
		"more than was captured is not refunded":                  refusesRefundTooMuch,
		"a refused refund is tried anew under its key":            retriesRefund,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func draft(key, token string) provider.Draft {
	return provider.Draft{Key: key, Reference: "ord_1", Amount: money.Of(1234, "GBP"), Token: token}
}

func (s Subject) create(t *testing.T, key, token string) provider.Payment {
	t.Helper()
	p, err := s.Provider.Create(context.Background(), draft(key, token))
	if err != nil {
		t.Fatalf("create %s: %v", key, err)
	}
	return p
}

func (s Subject) confirm(t *testing.T, id string) provider.Payment {
	t.Helper()
	p, err := s.Provider.Confirm(context.Background(), id, "ord_1/pay/1")
	if err != nil {
		t.Fatalf("confirm %s: %v", id, err)
	}
	return p
}

func (s Subject) has(t *testing.T, id string, want provider.Status) provider.Payment {
	t.Helper()
	p, err := s.Provider.Get(context.Background(), id)
	if err != nil || p.Status != want {
		t.Fatalf("get %s: %v, %v; want %v", id, p.Status, err, want)
	}
	return p
}

func createsUnconfirmed(t *testing.T, s Subject) {
	p := s.create(t, "ord_1/pay/1", s.OK)
	got := s.has(t, p.ID, provider.Created)
	want := provider.Payment{
		ID: p.ID, Key: "ord_1/pay/1", Reference: "ord_1", Amount: money.Of(1234, "GBP"), Status: provider.Created,
		MultiCapture: s.Provider.Capabilities().MultiCapture,
	}
	if got != want || p != want {
		t.Fatalf("created %+v and read %+v, want %+v", p, got, want)
	}
}

func createsOnce(t *testing.T, s Subject) {
	if a, b := s.create(t, "k", s.OK), s.create(t, "k", s.OK); a != b {
		t.Fatalf("the same key made %+v and %+v", a, b)
	}
	if a, b := s.create(t, "k", s.OK), s.create(t, "l", s.OK); a.ID == b.ID {
		t.Fatalf("two keys made one payment %s", a.ID)
	}
}

func refusesReusedKey(t *testing.T, s Subject) {
	s.create(t, "k", s.OK)
	other := draft("k", s.OK)
	other.Amount.Minor++
	if _, err := s.Provider.Create(context.Background(), other); !errors.Is(err, provider.ErrKeyReused) {
		t.Fatalf("another amount under a used key: %v", err)
	}
}

func refusesUnknownToken(t *testing.T, s Subject) {
	if _, err := s.Provider.Create(context.Background(), draft("k", "no such token")); !errors.Is(err, provider.ErrTokenRefused) {
		t.Fatalf("an unknown token: %v", err)
	}
}

func authorizes(t *testing.T, s Subject) {
	p := s.confirm(t, s.create(t, "k", s.OK).ID)
	if p.Status != provider.Authorized || s.has(t, p.ID, provider.Authorized) != p {
		t.Fatalf("confirmed %+v", p)
	}
}

func authorizesOnce(t *testing.T, s Subject) {
	id := s.create(t, "k", s.OK).ID
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			p, err := s.Provider.Confirm(context.Background(), id, "attempt "+strconv.Itoa(i%2))
			if err != nil || p.Status != provider.Authorized || p.ID != id {
				t.Errorf("confirm again: %+v, %v", p, err)
			}
		})
	}
	all.Wait()
	s.has(t, id, provider.Authorized)
}

func declines(t *testing.T, s Subject) {
	p := s.confirm(t, s.create(t, "k", s.Declined).ID)
	if p.Status != provider.Declined || p.Reason != "insufficient_funds" {
		t.Fatalf("declined %+v", p)
	}
	s.has(t, p.ID, provider.Declined)
}

func (s Subject) cancel(t *testing.T, id string) {
	t.Helper()
	p, err := s.Provider.Cancel(context.Background(), id)
	if err != nil || p.Status != provider.Canceled {
		t.Fatalf("cancel %s: %v, %v", id, p.Status, err)
	}
	s.has(t, id, provider.Canceled)
}

func dropsUnconfirmed(t *testing.T, s Subject) { s.cancel(t, s.create(t, "k", s.OK).ID) }

func voids(t *testing.T, s Subject) {
	p := s.confirm(t, s.create(t, "k", s.OK).ID)
	s.cancel(t, p.ID)
	s.cancel(t, p.ID)
}

func findsNothing(t *testing.T, s Subject) {
	for _, id := range []string{"", "nothing", "sbx_1_999", "sbx_999_1", "sbx_0_0", "sbx_-1_1"} {
		_, get := s.Provider.Get(context.Background(), id)
		_, confirm := s.Provider.Confirm(context.Background(), id, "a")
		_, cancel := s.Provider.Cancel(context.Background(), id)
		for _, err := range []error{get, confirm, cancel} {
			if !errors.Is(err, provider.ErrNotFound) {
				t.Errorf("%q: %v, want not found", id, err)
			}
		}
	}
}

func keepsCanceled(t *testing.T, s Subject) {
	id := s.create(t, "k", s.OK).ID
	s.cancel(t, id)
	if p := s.confirm(t, id); p.Status != provider.Canceled {
		t.Fatalf("confirmed a canceled payment: %v", p.Status)
	}
}

func verifies(t *testing.T, s Subject) {
	id := s.create(t, "k", s.OK).ID
	headers, body := s.Webhook(s.Now(), id)
	event, err := s.Provider.VerifyWebhook(headers, body)
	if err != nil || event.PaymentID != id || event.ID == "" || event.Kind == "" {
		t.Fatalf("a true webhook: %+v, %v", event, err)
	}
	forged := append([]byte(nil), body...)
	forged[len(forged)/2] ^= 1
	oldHeaders, oldBody := s.Webhook(s.Now().Add(-time.Hour), id)
	for name, try := range map[string]struct {
		headers http.Header
		body    []byte
	}{
		"forged": {headers, forged}, "unsigned": {http.Header{}, body}, "replayed an hour later": {oldHeaders, oldBody},
	} {
		if _, err := s.Provider.VerifyWebhook(try.headers, try.body); !errors.Is(err, provider.ErrSignature) {
			t.Errorf("%s webhook: %v, want the signature refused", name, err)
		}
	}
}

func lists(t *testing.T, s Subject) {
	lister, can := s.Provider.(provider.Lister)
	if !can {
		t.Skip("this provider does not list its payments")
	}
	var made, listed []string
	for i := range 5 {
		made = append(made, s.create(t, strconv.Itoa(i), s.OK).ID)
	}
	for cursor := ""; ; {
		page, next, err := lister.List(context.Background(), cursor, 2)
		if err != nil || len(page) > 2 {
			t.Fatalf("page behind %q: %d rows, %v", cursor, len(page), err)
		}
		for _, p := range page {
			listed = append(listed, p.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(listed) != len(made) || listed[0] != made[0] || listed[4] != made[4] {
		t.Fatalf("made %v, listed %v", made, listed)
	}
}

func declares(t *testing.T, s Subject) {
	if lives := s.Provider.Capabilities().AuthorizationLives; lives < 0 {
		t.Fatalf("an authorization lives for %v", lives)
	}
}
