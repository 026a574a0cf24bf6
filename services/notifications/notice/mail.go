package notice

import (
	"encoding/json"
	"fmt"
	"time"
)

// MailPrefix begins the ids of mails.
const MailPrefix = "mail"

// Kind is what a mail is about.
type Kind string

// The kinds of mails, which are the contract's words.
const (
	OrderConfirmed  Kind = "order_confirmed"
	OrderDispatched Kind = "order_dispatched"
	OrderRefunded   Kind = "order_refunded"
)

// kinds are the events that a customer is written about.
var kinds = map[Event]Kind{Confirmed: OrderConfirmed, Dispatched: OrderDispatched, Refunded: OrderRefunded}

// State is how far a mail has come.
type State string

// The states of a mail, which are the contract's words.
const (
	Pending State = "pending"
	Sent    State = "sent"
	Skipped State = "skipped" // there is no mail address
	Failed  State = "failed"  // given up
)

// Known says that it is one of them.
func (s State) Known() bool { return s == Pending || s.Final() }

// Final says that nothing more happens by itself.
func (s State) Final() bool { return s == Sent || s == Skipped || s == Failed }

// The bounds of trying.
const (
	AttemptsMax = 8     // sendings of one mail before it has failed
	AsksMax     = 1_000 // fruitless questions for its address, three days and a half
)

// waits are the pauses after the first, second… missed sending: 42 hours in all.
var waits = [AttemptsMax - 1]time.Duration{
	30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// The pauses after a question that was not answered; they double from the first to the second.
const (
	askWaitMin = 5 * time.Second
	askWaitMax = 5 * time.Minute
)

// Mail is one mail to a subject. Its text and address are made when it is sent, and not kept.
type Mail struct {
	ID        string // "mail_…"
	Kind      Kind
	Order     string
	Subject   string
	Facts     []byte // JSON of Facts, without personal data
	State     State
	Attempts  int    // sendings
	Asks      int    // questions for the address that were not answered
	LastError string // without the address
	CreatedAt time.Time
	SentAt    time.Time
	DueAt     time.Time // when it is looked at next; zero when it is not pending
}

// Mail is the mail that news calls for; there is none when the event is of no interest to a customer or nobody is behind
// the order.
func (n News) Mail(now time.Time) (Mail, bool) {
	kind, written := kinds[n.Event]
	if !written || n.Subject == "" {
		return Mail{}, false
	}
	return Mail{
		ID: ID(MailPrefix, n.At, n.Source), Kind: kind, Order: n.Order, Subject: n.Subject, Facts: encode(n.Facts),
		State: Pending, CreatedAt: now, DueAt: now,
	}, true
}

// Read gives the facts that the mail was made of.
func (m Mail) Read() (f Facts, err error) {
	if err := json.Unmarshal(m.Facts, &f); err != nil {
		return f, fmt.Errorf("read the facts of %s: %w", m.ID, err)
	}
	return f, nil
}

// Outcome is how one sending ended.
type Outcome struct {
	Sent    bool
	Untried bool   // its turn did not come, which is no attempt
	Final   bool   // refused for good: trying again would be refused too
	Why     string // of what was not sent, without the address
}

// Tried is the mail after a sending; spread, from 0 up to 1, keeps mails that failed together from being tried together.
func (m Mail) Tried(o Outcome, at time.Time, spread float64) Mail {
	if o.Untried {
		return m
	}
	m.Attempts++
	switch {
	case o.Sent:
		m.State, m.SentAt, m.LastError, m.DueAt = Sent, at, "", time.Time{}
	case o.Final || m.Attempts >= AttemptsMax:
		m = m.end(Failed, o.Why)
	default:
		m.LastError, m.DueAt = o.Why, at.Add(Spread(waits[m.Attempts-1], spread))
	}
	return m
}

// Skip is the mail of a subject that cannot be written to.
func (m Mail) Skip(why string) Mail { return m.end(Skipped, why) }

// Unasked is the mail whose address could not be asked for. That is no attempt: it waits, up to a bound.
func (m Mail) Unasked(why string, at time.Time, spread float64) Mail {
	if m.Asks++; m.Asks >= AsksMax {
		return m.end(Failed, why)
	}
	wait := min(askWaitMin<<min(m.Asks-1, 10), askWaitMax)
	m.LastError, m.DueAt = why, at.Add(Spread(wait, spread))
	return m
}

// Again is the mail as somebody wants it sent once more.
func (m Mail) Again(at time.Time) Mail {
	m.State, m.Attempts, m.Asks, m.LastError, m.SentAt, m.DueAt = Pending, 0, 0, "", time.Time{}, at
	return m
}

func (m Mail) end(state State, why string) Mail {
	m.State, m.LastError, m.SentAt, m.DueAt = state, why, time.Time{}, time.Time{}
	return m
}

// Spread lengthens a wait by up to a tenth.
func Spread(wait time.Duration, by float64) time.Duration {
	return wait + time.Duration(float64(wait/10)*by)
}
