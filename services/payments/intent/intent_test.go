package intent_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/intent"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func confirming() intent.Intent {
	i := intent.Intent{ID: "pay_1", Order: "ord_1", Attempt: 1, Amount: money.Of(100, "GBP"), State: intent.Created, CreatedAt: at}
	return i.Confirming(at)
}

// step is one thing that happens to an intent.
type step struct {
	name string
	do   func(intent.Intent) intent.Change
}

func sees(s intent.Sight) step {
	return step{fmt.Sprint("sees ", s), func(i intent.Intent) intent.Change { return i.See(s, i.CapturedMinor, "why", at) }}
}

// captures takes so many of the hundred pence.
func captures(minor int64, closed bool) step {
	return step{fmt.Sprint("captures ", minor), func(i intent.Intent) intent.Change { return i.Capture(minor, closed, "", at) }}
}

var (
	noAnswer = step{"no answer", func(i intent.Intent) intent.Change { return i.NoAnswer(at) }}
	cancels  = step{"cancel", func(i intent.Intent) intent.Change { return i.Cancel(intent.Requested, at) }}
	abandons = step{"abandon", func(i intent.Intent) intent.Change { return i.Cancel(intent.Abandoned, at) }}
	pending  = sees(intent.Pending)
	refused  = sees(intent.Refused)
	held     = sees(intent.Held)
	gone     = sees(intent.Gone)
)

func TestLives(t *testing.T) {
	const hold, release = "+", "-"
	for name, life := range map[string]struct {
		steps []step
		state intent.State
		told  string // events and moves, in order
		next  intent.Command
	}{
		"authorized":                                    {[]step{held}, intent.Authorized, "PaymentAuthorized+", intent.Rest},
		"declined":                                      {[]step{refused}, intent.Declined, "PaymentDeclined", intent.Rest},
		"no answer, then authorized":                    {[]step{noAnswer, held}, intent.Authorized, "PaymentUnknown PaymentAuthorized+", intent.Rest},
		"no answer, then declined":                      {[]step{noAnswer, refused}, intent.Declined, "PaymentUnknown PaymentDeclined", intent.Rest},
		"pending is unknown":                            {[]step{pending}, intent.Unknown, "PaymentUnknown", intent.Read},
		"a webhook before the lost answer":              {[]step{held, noAnswer}, intent.Authorized, "PaymentAuthorized+", intent.Rest},
		"the same news three times":                     {[]step{held, held, held}, intent.Authorized, "PaymentAuthorized+", intent.Rest},
		"old news":                                      {[]step{held, pending, refused}, intent.Authorized, "PaymentAuthorized+", intent.Rest},
		"authorized, then called off":                   {[]step{held, cancels, gone}, intent.Voided, "PaymentAuthorized+ PaymentVoided-", intent.Rest},
		"called off while confirming":                   {[]step{cancels, gone}, intent.Voided, "PaymentVoided", intent.Rest},
		"authorized after it was called off":            {[]step{cancels, held}, intent.Canceling, "+", intent.Void},
		"authorized after it was called off, voided":    {[]step{cancels, held, gone, held}, intent.Voided, "+ PaymentVoided-", intent.Rest},
		"declined after it was called off":              {[]step{cancels, refused}, intent.Declined, "PaymentDeclined", intent.Rest},
		"unknown for too long":                          {[]step{noAnswer, abandons}, intent.Canceling, "PaymentUnknown", intent.Void},
		"unknown for too long, canceled":                {[]step{noAnswer, abandons, gone}, intent.Failed, "PaymentUnknown PaymentFailed", intent.Rest},
		"unknown for too long, authorized, voided":      {[]step{noAnswer, abandons, held, gone}, intent.Failed, "PaymentUnknown + PaymentFailed-", intent.Rest},
		"the money comes after the decline":             {[]step{refused, held}, intent.Canceling, "PaymentDeclined +", intent.Void},
		"the money comes after the decline, and goes":   {[]step{refused, held, gone}, intent.Voided, "PaymentDeclined + PaymentVoided-", intent.Rest},
		"the provider lets the authorization lapse":     {[]step{held, gone}, intent.Voided, "PaymentAuthorized+ PaymentVoided-", intent.Rest},
		"the provider drops it before deciding":         {[]step{gone}, intent.Failed, "PaymentFailed", intent.Rest},
		"a decline called off stays a decline":          {[]step{refused, cancels, gone}, intent.Declined, "PaymentDeclined", intent.Rest},
		"called off twice, for two reasons":             {[]step{abandons, cancels, gone}, intent.Failed, "PaymentFailed", intent.Rest},
		"called off after it was voided":                {[]step{held, cancels, gone, cancels}, intent.Voided, "PaymentAuthorized+ PaymentVoided-", intent.Rest},
		"pending after it was called off is old to it":  {[]step{cancels, pending}, intent.Canceling, "", intent.Void},
		"an answer is missing after it was called off":  {[]step{cancels, noAnswer}, intent.Canceling, "", intent.Void},
		"called off before anything was confirmed, too": {[]step{cancels, sees(intent.Unconfirmed)}, intent.Canceling, "", intent.Void},
		"captured whole":                                {[]step{held, captures(100, true)}, intent.Captured, "PaymentAuthorized+", intent.Rest},
		"captured for less, the rest let go":            {[]step{held, captures(60, true)}, intent.Captured, "PaymentAuthorized+ -", intent.Rest},
		"captured in part":                              {[]step{held, captures(60, false)}, intent.Authorized, "PaymentAuthorized+", intent.Rest},
		"captured in two parts":                         {[]step{held, captures(60, false), captures(40, false)}, intent.Captured, "PaymentAuthorized+", intent.Rest},
		"captured in part, the rest called off":         {[]step{held, captures(60, false), cancels, gone}, intent.Captured, "PaymentAuthorized+ PaymentVoided-", intent.Rest},
		"captured in part, the rest lapses":             {[]step{held, captures(60, false), gone}, intent.Captured, "PaymentAuthorized+ PaymentVoided-", intent.Rest},
		"called off while a final capture is under way": {[]step{held, cancels, captures(60, true)}, intent.Captured, "PaymentAuthorized+ PaymentVoided-", intent.Rest},
		"called off while a capture is under way":       {[]step{held, cancels, captures(60, false)}, intent.Canceling, "PaymentAuthorized+", intent.Void},
		"called off after it was captured":              {[]step{held, captures(100, true), cancels}, intent.Captured, "PaymentAuthorized+", intent.Rest},
		"old news after it was captured":                {[]step{held, captures(60, true), held, gone}, intent.Captured, "PaymentAuthorized+ -", intent.Rest},
	} {
		t.Run(name, func(t *testing.T) {
			i, told := confirming(), ""
			for _, s := range life.steps {
				c := s.do(i)
				said := string(c.Event) + [...]string{"", hold, release}[c.Move]
				if told != "" && said != "" {
					told += " "
				}
				told, i = told+said, c.Intent
			}
			if i.State != life.state || told != life.told || i.Next() != life.next {
				t.Errorf("%s, told %q, next %d; want %s, %q, %d", i.State, told, i.Next(), life.state, life.told, life.next)
			}
		})
	}
}

func TestWhatToDoAfterAReading(t *testing.T) {
	patience := intent.Patience{Confirm: time.Minute, Pending: time.Hour}
	for name, c := range map[string]struct {
		sight intent.Sight
		age   time.Duration
		want  intent.Command
	}{
		"never confirmed, young":    {intent.Unconfirmed, time.Second, intent.Confirm},
		"never confirmed, old":      {intent.Unconfirmed, time.Minute, intent.Abandon},
		"pending, young":            {intent.Pending, time.Minute, intent.Rest},
		"pending, for far too long": {intent.Pending, time.Hour, intent.Abandon},
	} {
		t.Run(name, func(t *testing.T) {
			if got := confirming().AfterReading(c.sight, at.Add(c.age), patience); got != c.want {
				t.Errorf("command %d, want %d", got, c.want)
			}
		})
	}
}

// sight is what a reading showed.
type sight struct {
	of       intent.Sight
	captured int64
}

// world is a provider and the messages under way from it: whoever read the
// payment may deliver late, twice or never. Of captures one at a time is under
// way, and its answer arrives before the rest is voided.
type world struct {
	payment  intent.Sight
	outcome  intent.Sight // what a confirmation comes to: Held or Refused
	captured int64
	open     int64 // an amount that was captured and not yet told
	charges  int
	readings []sight
	intent   intent.Intent
	ledger   int64 // what it holds
	taken    int64 // by captures
	told     map[intent.Event]int
}

func (w *world) apply(c intent.Change) {
	w.intent = c.Intent
	w.told[c.Event]++
	switch c.Move {
	case intent.Hold:
		w.ledger += c.Intent.Amount.Minor
	case intent.Release:
		w.ledger -= c.Intent.Rest().Minor
	}
}

func (w *world) confirm() {
	if w.payment != intent.Unconfirmed {
		return
	}
	w.payment = intent.Pending
}

func (w *world) settle() {
	if w.payment == intent.Pending {
		w.payment = w.outcome
		if w.outcome == intent.Held {
			w.charges++
		}
	}
}

// capture is begun only while the intent is authorized.
func (w *world) capture(minor int64, final bool) {
	if w.intent.State != intent.Authorized || w.payment != intent.Held || w.open > 0 || minor > w.intent.Rest().Minor {
		return
	}
	w.open = minor
	w.captured += minor
	if final || w.captured == w.intent.Amount.Minor {
		w.payment = intent.Gone
	}
}

func (w *world) answer() {
	if w.open == 0 {
		return
	}
	minor := w.open
	w.open = 0
	w.taken += minor
	w.ledger -= minor
	w.apply(w.intent.Capture(minor, w.payment == intent.Gone, "", at))
}

// cancel is refused while pending, as the port allows.
func (w *world) cancel() {
	w.answer()
	if w.payment == intent.Unconfirmed || w.payment == intent.Held {
		w.payment = intent.Gone
	}
}

func (w *world) read() { w.readings = append(w.readings, sight{w.payment, w.captured}) }

// quiet lets everything under way end and the reconciler do its work.
func (w *world) quiet() {
	w.settle()
	w.answer()
	for range 4 {
		switch w.intent.Next() {
		case intent.Void:
			w.cancel()
		case intent.Read:
			if w.payment == intent.Unconfirmed {
				w.confirm()
				w.settle()
			}
		}
		w.apply(w.intent.See(w.payment, w.captured, "", at))
	}
}

func TestInAnyOrderNothingIsChargedTwiceAndAllConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{told: map[intent.Event]int{}, intent: confirming()}
		w.outcome = rapid.SampledFrom([]intent.Sight{intent.Held, intent.Refused}).Draw(t, "outcome")
		canceled := false
		t.Repeat(map[string]func(*rapid.T){
			"the confirming call arrives": func(*rapid.T) { w.confirm() },
			"the provider settles":        func(*rapid.T) { w.settle() },
			"the answer is lost":          func(*rapid.T) { w.apply(w.intent.NoAnswer(at)) },
			"somebody reads the payment":  func(*rapid.T) { w.read() },
			"an amount is captured": func(t *rapid.T) {
				w.capture(rapid.Int64Range(1, 100).Draw(t, "minor"), rapid.Bool().Draw(t, "final"))
			},
			"the capture is answered":      func(*rapid.T) { w.answer() },
			"the order calls it off":       func(*rapid.T) { canceled = true; w.apply(w.intent.Cancel(intent.Requested, at)) },
			"the reconciler abandons":      func(*rapid.T) { canceled = true; w.apply(w.intent.Cancel(intent.Abandoned, at)) },
			"the void is carried out":      func(*rapid.T) { voidIfAsked(w) },
			"a reading arrives, and stays": func(t *rapid.T) { deliver(t, w) },
			"":                             func(t *rapid.T) { w.check(t) },
		})
		w.quiet()
		w.check(t)
		if !w.intent.State.Final() || w.intent.Next() != intent.Rest {
			t.Fatalf("does not converge: %+v with payment %d", w.intent, w.payment)
		}
		if (w.intent.State == intent.Authorized) != (w.payment == intent.Held) || w.intent.Held != (w.payment == intent.Held) {
			t.Fatalf("the provider's payment is %d and the intent %+v", w.payment, w.intent)
		}
		if (w.intent.State == intent.Captured) != (w.captured > 0 && w.payment == intent.Gone) || w.intent.CapturedMinor != w.captured {
			t.Fatalf("the provider captured %d and the intent is %+v", w.captured, w.intent)
		}
		if canceled && w.payment == intent.Held {
			t.Fatalf("called off, and the provider still holds money: %+v", w.intent)
		}
	})
}

func voidIfAsked(w *world) {
	if w.intent.Next() == intent.Void {
		w.cancel()
	}
}

func deliver(t *rapid.T, w *world) {
	if len(w.readings) == 0 {
		return
	}
	s := rapid.SampledFrom(w.readings).Draw(t, "reading")
	w.apply(w.intent.See(s.of, s.captured, "", at))
}

func (w *world) check(t *rapid.T) {
	var held int64
	if w.intent.Held {
		held = w.intent.Rest().Minor
	}
	if w.charges > 1 || w.ledger != held || w.taken != w.intent.CapturedMinor {
		t.Fatalf("%d charges, the ledger holds %d, captured %d: %+v", w.charges, w.ledger, w.taken, w.intent)
	}
	for _, event := range []intent.Event{
		intent.PaymentAuthorized, intent.PaymentDeclined, intent.PaymentUnknown, intent.PaymentVoided, intent.PaymentFailed,
	} {
		if w.told[event] > 1 {
			t.Fatalf("told %s %d times", event, w.told[event])
		}
	}
}
