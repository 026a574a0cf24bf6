package sandbox

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/services/payments/provider"
)

// manner is how a confirming call is answered.
type manner uint8

const (
	answers manner = iota // at once
	waits                 // when the payment has settled
	dies                  // the connection breaks after the provider has decided
	silent                // never
)

// mail is how the webhooks of a payment behave.
type mail uint8

const (
	prompt    mail = iota // one delivery, at once
	twice                 // each event is delivered twice
	late                  // delivered long after
	reordered             // the later event overtakes the earlier
	none                  // nothing is sent
)

// trouble is what becomes of a capture or of a refund.
type trouble uint8

const (
	no            trouble = iota // it is done
	refusedAlways                // it is refused, whenever it is tried
	refusedOnce                  // the payment's first is refused
	answerLost                   // it is done, and the connection breaks before the answer
)

// script is what a magic token makes the provider do.
type script struct {
	token   string
	manner  manner
	mail    mail
	settles settles
	lapses  bool            // the authorization lives for the token's own time, or Options.PendingFor
	capture trouble         // of captures
	refund  trouble         // of refunds
	outcome provider.Status // Authorized or Declined; Pending stays so for ever
	reason  string
}

// settles says when a confirmed payment is decided.
type settles uint8

const (
	atOnce       settles = iota
	afterSlow            // after Options.SlowFor, or the token's own time
	afterPending         // after Options.PendingFor, or the token's own time
	never
)

// scripts is every magic token; docs/sandbox-provider.md describes them for
// those who test a shop with them.
var scripts = [...]script{
	{token: "tok_ok", outcome: provider.Authorized},
	{token: "tok_declined", outcome: provider.Declined, reason: "card_declined"},
	{token: "tok_declined_insufficient_funds", outcome: provider.Declined, reason: "insufficient_funds"},
	{token: "tok_declined_expired_card", outcome: provider.Declined, reason: "expired_card"},
	{token: "tok_slow", manner: waits, settles: afterSlow, outcome: provider.Authorized},
	{token: "tok_dies", manner: dies, outcome: provider.Authorized},
	{token: "tok_timeout", manner: silent, settles: afterPending, outcome: provider.Authorized},
	{token: "tok_pending_declined", manner: silent, settles: afterPending, outcome: provider.Declined, reason: "card_declined"},
	{token: "tok_lost", manner: silent, settles: never, outcome: provider.Pending},
	{token: "tok_dup_webhook", mail: twice, outcome: provider.Authorized},
	{token: "tok_late_webhook", mail: late, outcome: provider.Authorized},
	{token: "tok_reorder_webhooks", mail: reordered, outcome: provider.Authorized},
	{token: "tok_no_webhook", mail: none, outcome: provider.Authorized},
	{token: "tok_capture_declined", capture: refusedAlways, outcome: provider.Authorized},
	{token: "tok_capture_declined_once", capture: refusedOnce, outcome: provider.Authorized},
	{token: "tok_capture_dies", capture: answerLost, outcome: provider.Authorized},
	{token: "tok_refund_declined_once", refund: refusedOnce, outcome: provider.Authorized},
	{token: "tok_refund_dies", refund: answerLost, outcome: provider.Authorized},
	{token: "tok_expires", lapses: true, outcome: provider.Authorized},
}

// reasons is every reason that an index entry can name by number.
var reasons = [...]string{"", "card_declined", "insufficient_funds", "expired_card", provider.ReasonExpired, reasonRequested}

// reasonRequested says that somebody called Cancel.
const reasonRequested = "requested"

func reasonNumber(reason string) uint8 { return uint8(max(0, slices.Index(reasons[:], reason))) }

// parseToken reads "tok_slow" or "tok_slow:250ms", whose time replaces the
// configured one.
func parseToken(token string) (number uint8, own time.Duration, err error) {
	name, wait, timed := strings.Cut(token, ":")
	n := slices.IndexFunc(scripts[:], func(s script) bool { return s.token == name })
	if n < 0 {
		return 0, 0, provider.ErrTokenRefused
	}
	if timed {
		own, err = time.ParseDuration(wait)
		if err != nil || own < time.Millisecond || own > ownTimeMax {
			return 0, 0, provider.ErrTokenRefused
		}
	}
	return uint8(n), own, nil
}

// ownTimeMax bounds the time that a token may name.
const ownTimeMax = 24 * time.Hour

// delay is how long after its confirmation a payment settles.
func (s *script) delay(own time.Duration, o Options) time.Duration {
	switch {
	case s.settles == atOnce:
		return 0
	case own > 0:
		return own
	case s.settles == afterSlow:
		return o.SlowFor
	}
	return o.PendingFor
}

// lives is how long an authorization holds.
func (s *script) lives(own time.Duration, o Options) time.Duration {
	switch {
	case !s.lapses:
		return o.AuthorizationLives
	case own > 0:
		return own
	}
	return o.PendingFor
}

// confirmed is what a payment becomes at its confirmation.
func (s *script) confirmed(now int64, delay time.Duration) state {
	switch s.settles {
	case atOnce:
		return state{status: s.outcome, reason: s.reason}
	case never:
		return state{status: provider.Pending}
	}
	return state{status: provider.Pending, due: now + delay.Microseconds()}
}
