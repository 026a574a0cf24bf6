// Package notice is the heart of what is told: which news there is, which of
// it becomes a mail, and what becomes of a mail.
//
//	           ┌──── taken ─────────────────▶ sent
//	news ─▶ pending ── no address ──────────▶ skipped
//	         │   ▲ └── refused, or missed
//	   missed│   │     AttemptsMax times ───▶ failed
//	         └───┘ after a pause
//
// Sent, skipped and failed mails become pending once more when somebody asks
// for it, under the same id.
package notice

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/seed-21071466/souk/money"
)

// Event is a kind of news, as endpoints know it.
type Event string

// The events, which are the contract's words.
const (
	Confirmed  Event = "order.confirmed"
	Rejected   Event = "order.rejected"
	Canceled   Event = "order.canceled"
	Dispatched Event = "order.dispatched"
	PaymentDue Event = "order.payment_due"
	Returned   Event = "order.returned"
	Refunded   Event = "order.refunded"
)

// Events are all events, in the order of an order's life.
var Events = []Event{Confirmed, Rejected, Canceled, Dispatched, PaymentDue, Returned, Refunded}

// Known says that it is one of them.
func (e Event) Known() bool { return slices.Contains(Events, e) }

// News is one event of another room, in the words of this one.
type News struct {
	Source  string // the event's id, unique for ever: "orders/12"
	Event   Event
	At      time.Time // when it was recorded
	Order   string
	Subject string // who is behind the order; "" where that is not known
	Facts   Facts
}

// Facts are what news says beside the order: ids, sums and counts, never a name, a mail or an address.
type Facts struct {
	Total    *Sum   `json:"total,omitempty"`
	Amount   *Sum   `json:"amount,omitempty"`
	Lines    int    `json:"lines,omitempty"`
	Pieces   int    `json:"pieces,omitempty"`
	Parcel   string `json:"parcel_id,omitempty"`
	Carrier  string `json:"carrier,omitempty"`
	Tracking string `json:"tracking_number,omitempty"`
	Last     *bool  `json:"last,omitempty"`  // of a parcel: nothing is left to be sent
	Whole    *bool  `json:"whole,omitempty"` // of a cancellation: nothing was delivered
	Return   string `json:"return_id,omitempty"`
	Refund   string `json:"refund_id,omitempty"`
	Code     string `json:"code,omitempty"`
}

// Sum is money as the API writes it.
type Sum struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"`
}

// SumOf writes an amount; none when there is no currency.
func SumOf(m money.Money) *Sum {
	if m.Currency == "" {
		return nil
	}
	return &Sum{Currency: m.Currency, Amount: m.Format()}
}

// String is the sum for people.
func (s *Sum) String() string {
	if s == nil {
		return ""
	}
	return s.Amount + " " + s.Currency
}

// body is news as endpoints read it, after the Standard Webhooks specification.
type body struct {
	Type      Event     `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Order   string `json:"order_id"`
	Subject string `json:"subject_id,omitempty"`
	Facts
}

// Body is what an endpoint is told, the same bytes at each attempt.
func (n News) Body() []byte {
	return encode(body{n.Event, n.At.UTC(), data{n.Order, n.Subject, n.Facts}})
}

// encode writes what cannot fail to be written: strings, numbers and times of our own.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("notice: " + err.Error()) // only for a time beyond the year 9999
	}
	return text
}

// ID is derived from what it names, so that the same news makes the same rows however often it is heard:
// "<prefix>_<12 hexadecimal digits of the millisecond><20 of a digest>", in the order of time.
func ID(prefix string, at time.Time, seeds ...string) string {
	digest := sha256.New()
	for _, seed := range seeds {
		fmt.Fprintf(digest, "%d:%s", len(seed), seed)
	}
	return fmt.Sprintf("%s%s", Since(prefix, at), hex.EncodeToString(digest.Sum(nil)[:10]))
}

// Since is below every id of that prefix made at that time or later, and above every earlier one.
func Since(prefix string, at time.Time) string {
	return fmt.Sprintf("%s_%012x", prefix, max(0, cmp.Or(at, time.Unix(0, 0)).UnixMilli()))
}
