package sandbox

import "github.com/seed-21071466/souk/services/payments/provider"

// state is what a payment becomes; due is when it then changes by itself.
type state struct {
	status   provider.Status
	reason   string
	due      int64
	captured int64
	refunded int64
}

// state is the payment as it is.
func (e *entry) state() state {
	return state{e.status, reasons[e.reason], e.due, e.captured, e.refunded}
}

// ended is the payment once nothing is held of it any more.
func (e *entry) ended(reason string) state {
	next := state{status: provider.Canceled, reason: reason, captured: e.captured, refunded: e.refunded}
	if e.captured > 0 {
		next.status = provider.Captured
	}
	return next
}

// settle does what is due for a payment: a pending one is decided, an
// authorization that outlived its time ends.
func (s *Sandbox) settle(n uint32) error {
	e := s.index.at(n)
	if e.due == 0 || e.due > s.now() {
		return nil
	}
	play := scripts[e.script]
	next := state{status: play.outcome, reason: play.reason}
	if e.status == provider.Authorized {
		next = e.ended(provider.ReasonExpired)
	}
	return s.change(n, record{Type: "settle"}, next)
}

// change writes what a payment becomes and what is announced of it, in one
// write; only then does memory know.
func (s *Sandbox) change(n uint32, r record, next state) error {
	e, now := s.index.at(n), s.now()
	if next.status == provider.Authorized && e.status != provider.Authorized {
		next.due = now + scripts[e.script].lives(e.ownTime(), s.o).Microseconds()
	}
	r.ID, r.Status, r.Reason, r.Due, r.At = s.index.id(n), next.status.String(), next.reason, next.due, now
	s.scratch = r.append(s.scratch[:0])
	letters := s.courier.announce(n, scripts[e.script].mail, wordOf(&r, next), next, now)
	for i := range letters {
		s.scratch = s.courier.write(s.scratch, s.epoch, r.ID, &letters[i], now)
	}
	if err := s.journal.write(s.scratch); err != nil {
		return err
	}
	s.journal.firm = s.journal.size
	e.status, e.reason, e.due = next.status, reasonNumber(next.reason), next.due
	e.captured, e.refunded = next.captured, next.refunded
	s.expectSettling(n)
	s.courier.post(letters, s.journal.size)
	return nil
}

// expectSettling has a pending payment decided in time even if nobody asks, and
// so an authorization that lapses soon; others lapse when they are looked at.
func (s *Sandbox) expectSettling(n uint32) {
	e := s.index.at(n)
	soon := e.status == provider.Pending || e.status == provider.Authorized && scripts[e.script].lapses
	if soon && e.due > 0 {
		s.courier.settlings.push(letter{due: e.due, payment: n})
		s.courier.wake()
	}
}
