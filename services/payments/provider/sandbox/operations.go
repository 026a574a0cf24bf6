package sandbox

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// The kinds of operation, and the type of a journal line about a refused one.
const (
	kindCapture = "capture"
	kindRefund  = "refund"
	typeRefused = "refused"
)

// Why an operation is refused, beside provider.RefusedExpired.
const (
	refusedByBank     = "_refused" // behind the kind
	refusedState      = "not_authorized"
	refusedTwice      = "already_captured"
	refusedBeyondAuth = "exceeds_authorization"
	refusedBeyondTake = "exceeds_captured"
)

// operation is a capture or a refund that is asked for.
type operation struct {
	kind, id, key string
	amount        money.Money
	final         bool
}

// Capture takes an amount of what an authorized payment holds, once a key.
func (s *Sandbox) Capture(ctx context.Context, id, key string, amount money.Money, final bool) (provider.Operation, error) {
	return s.operate(ctx, operation{kind: kindCapture, id: id, key: key, amount: amount, final: final})
}

// Refund gives an amount of what was captured back, once a key.
func (s *Sandbox) Refund(ctx context.Context, id, key string, amount money.Money) (provider.Operation, error) {
	return s.operate(ctx, operation{kind: kindRefund, id: id, key: key, amount: amount})
}

func (s *Sandbox) operate(ctx context.Context, o operation) (provider.Operation, error) {
	if len(o.key) == 0 || len(o.key) > keyMax || !plain(o.key) || o.amount.Minor <= 0 {
		return provider.Operation{}, fmt.Errorf("%s %s: the key must be 1 to %d plain characters, the amount more than nothing", o.kind, o.id, keyMax)
	}
	if err := s.ready(ctx); err != nil {
		return provider.Operation{}, err
	}
	came, err := s.decide(o)
	if err == nil {
		err = s.journal.sync(came.end)
	}
	if came.fresh {
		crashpoint.Hit("provider " + o.kind + " after")
	}
	if err == nil && came.lost {
		err = errConnection
	}
	if err != nil {
		return provider.Operation{}, fmt.Errorf("%s payment %s: %w", o.kind, o.id, err)
	}
	payment, err := s.payment(came.entry)
	return provider.Operation{Done: came.refusal == "", Reason: came.refusal, Payment: payment}, err
}

// result is what came of an operation.
type result struct {
	entry   entry
	refusal string
	fresh   bool  // it was not done before
	lost    bool  // its answer
	end     int64 // of the lines that it depends on
}

// decide does the operation and writes it down, unless its key did it before.
func (s *Sandbox) decide(o operation) (r result, err error) {
	if err := s.enter(); err != nil {
		return r, err
	}
	defer s.leave()
	n, err := s.index.find(o.id)
	if err == nil {
		err = s.settle(n)
	}
	if err != nil {
		return r, err
	}
	e := s.index.at(n)
	if offset, done := s.index.done[digest(o.key)]; done {
		return result{entry: *e, end: s.journal.firm}, s.same(o, offset)
	}
	crashpoint.Hit("provider " + o.kind + " before")
	r.fresh, r.refusal = true, e.refuses(o)
	if r.refusal != "" {
		err = s.refuse(n, o, r.refusal)
	} else {
		err = s.perform(n, o)
		r.lost = e.trouble(o.kind) == answerLost
	}
	r.entry, r.end = *e, s.journal.size
	return r, err
}

// same refuses a key that did something else.
func (s *Sandbox) same(o operation, offset int64) error {
	before, err := s.recorded(offset)
	if err != nil {
		return err
	}
	if before.Type != o.kind || before.ID != o.id || before.Amount != o.amount.Minor || (before.Final != 0) != o.final {
		return provider.ErrKeyReused
	}
	return nil
}

// refuses says why an operation cannot be done, "" if it can.
func (e *entry) refuses(o operation) string {
	state := ""
	if o.kind == kindCapture {
		state = e.refusesCapture(o.amount.Minor)
	} else if o.amount.Minor > e.captured-e.refunded {
		state = refusedBeyondTake
	}
	trouble := e.trouble(o.kind)
	switch {
	case state != "":
		return state
	case string(e.currency[:]) != o.amount.Currency:
		return "another_currency"
	case trouble == refusedAlways, trouble == refusedOnce && e.marks&refusal(o.kind) == 0:
		return o.kind + refusedByBank
	}
	return ""
}

func (e *entry) refusesCapture(minor int64) string {
	expired := reasons[e.reason] == provider.ReasonExpired
	switch {
	case expired && (e.status == provider.Canceled || e.status == provider.Captured):
		return provider.RefusedExpired
	case e.status == provider.Captured:
		return refusedTwice
	case e.status != provider.Authorized:
		return refusedState
	case minor > e.amount-e.captured:
		return refusedBeyondAuth
	}
	return ""
}

func (e *entry) trouble(kind string) trouble {
	if kind == kindCapture {
		return scripts[e.script].capture
	}
	return scripts[e.script].refund
}

// refusal is the mark that an operation of this kind was refused.
func refusal(kind string) marks {
	if kind == kindCapture {
		return refusedCapture
	}
	return refusedRefund
}

// refuse writes the refusal down; the key is free to be tried anew.
func (s *Sandbox) refuse(n uint32, o operation, reason string) error {
	r := record{Type: typeRefused, ID: o.id, Key: o.key, Kind: o.kind, Amount: o.amount.Minor, Reason: reason, At: s.now()}
	s.scratch = r.append(s.scratch[:0])
	if err := s.journal.write(s.scratch); err != nil {
		return err
	}
	s.journal.firm = s.journal.size
	s.index.at(n).marks |= refusal(o.kind)
	return nil
}

// perform moves the money.
func (s *Sandbox) perform(n uint32, o operation) error {
	e := s.index.at(n)
	next, r := e.state(), record{Type: o.kind, Key: o.key, Amount: o.amount.Minor}
	if o.kind == kindRefund {
		next.refunded += o.amount.Minor
	} else {
		next.captured += o.amount.Minor
		if o.final {
			r.Final = 1
		}
		if o.final || e.marks&multi == 0 || next.captured == e.amount {
			next.status, next.due = provider.Captured, 0
		}
	}
	r.Captured, r.Refunded = next.captured, next.refunded
	offset := s.journal.size
	if err := s.change(n, r, next); err != nil {
		return err
	}
	s.index.done[digest(o.key)] = offset
	return nil
}
