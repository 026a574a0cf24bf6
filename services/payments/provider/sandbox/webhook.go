package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/services/payments/provider"
)

// Headers of a webhook, after the Standard Webhooks specification
// (standardwebhooks.com).
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// tolerance is how far a webhook's time may be from ours: an older one is a
// replay.
const tolerance = 5 * time.Minute

// signatureMax bounds how many signatures of one webhook are looked at.
const signatureMax = 4

// eventPrefix begins the kind of an event; its word follows.
const eventPrefix = "payment."

// words are what events tell, by their number in a letter.
var words = [...]string{"", "created", "pending", "declined", "authorized", "canceled", "captured", "refunded"}

const (
	wordPending  = 2
	wordCanceled = 5
	wordCaptured = 6
	wordRefunded = 7
)

// wordOf is what is announced of a change: a payment whose rest was let go is
// told as canceled, with what was captured of it.
func wordOf(r *record, next state) uint8 {
	switch {
	case r.Type == kindCapture:
		return wordCaptured
	case r.Type == kindRefund:
		return wordRefunded
	case next.status == provider.Captured:
		return wordCanceled
	}
	return uint8(next.status)
}

// event is the body of a webhook.
type event struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      struct {
		ID       string `json:"id"`
		Status   string `json:"status"`
		Captured int64  `json:"captured"`
		Refunded int64  `json:"refunded"`
	} `json:"data"`
}

// status is what the payment had become, as the event says it.
func (e *event) status() provider.Status {
	if e.Data.Status != "" {
		return provider.ParseStatus(e.Data.Status)
	}
	return provider.ParseStatus(strings.TrimPrefix(e.Type, eventPrefix))
}

// eventBody writes an event; its words need no escapes.
func eventBody(l letter, paymentID string) string {
	created := time.UnixMicro(l.created).UTC().Format(time.RFC3339Nano)
	if l.captured == 0 {
		return fmt.Sprintf(`{"type":"payment.%s","timestamp":"%s","data":{"id":"%s"}}`, words[l.word], created, paymentID)
	}
	return fmt.Sprintf(`{"type":"payment.%s","timestamp":"%s","data":{"id":"%s","status":"%s","captured":%d,"refunded":%d}}`,
		words[l.word], created, paymentID, l.status, l.captured, l.refunded)
}

// Sign makes the headers with which the sandbox sends a body at that time.
func Sign(secret []byte, id string, at time.Time, body []byte) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return http.Header{
		"Content-Type":  {"application/json"},
		headerID:        {id},
		headerTimestamp: {timestamp},
		headerSignature: {"v1," + base64.StdEncoding.EncodeToString(mac(secret, id, timestamp, body))},
	}
}

func mac(secret []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	var head [96]byte
	h.Write(append(append(append(append(head[:0], id...), '.'), timestamp...), '.'))
	h.Write(body)
	return h.Sum(nil)
}

func verify(secret []byte, headers http.Header, body []byte, now time.Time) (provider.Event, error) {
	id, timestamp := headers.Get(headerID), headers.Get(headerTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || len(secret) == 0 || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return provider.Event{}, provider.ErrSignature
	}
	if !signedBy(mac(secret, id, timestamp, body), headers.Get(headerSignature)) {
		return provider.Event{}, provider.ErrSignature
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return provider.Event{}, fmt.Errorf("read webhook %s: %w", id, err)
	}
	return provider.Event{
		ID: id, Kind: e.Type, Status: e.status(), PaymentID: e.Data.ID,
		Captured: e.Data.Captured, Refunded: e.Data.Refunded, Created: e.Timestamp.UTC(),
	}, nil
}

// signedBy looks for want among the space-separated signatures; there are
// several while a secret is being changed.
func signedBy(want []byte, signatures string) bool {
	for i, signature := range strings.Fields(signatures) {
		encoded, v1 := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if v1 && err == nil && hmac.Equal(got, want) {
			return true
		}
		if i+1 == signatureMax {
			break
		}
	}
	return false
}
