package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/crashpoint"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// Create makes an unconfirmed payment. Its line is written but not yet synced:
// nothing depends on it until its confirmation, which syncs both.
func (s *Sandbox) Create(ctx context.Context, draft provider.Draft) (provider.Payment, error) {
	if err := check(draft); err != nil {
		return provider.Payment{}, err
	}
	if err := s.ready(ctx); err != nil {
		return provider.Payment{}, err
	}
	if err := s.enter(); err != nil {
		return provider.Payment{}, err
	}
	defer s.leave()
	if n, used := s.index.byKey[digest(draft.Key)]; used {
		return s.again(n, draft)
	}
	crashpoint.Hit("provider create before")
	n := uint32(len(s.index.entries) + 1)
	created := record{
		Type: "create", ID: name("sbx_", s.epoch, n), Key: draft.Key, Ref: draft.Reference, Token: draft.Token,
		Amount: draft.Amount.Minor, Currency: draft.Amount.Currency, At: s.now(),
	}
	if !s.o.SingleCapture {
		created.Multi = 1
	}
	offset := s.journal.size
	s.scratch = created.append(s.scratch[:0])
	if err := s.journal.write(s.scratch); err != nil {
		return provider.Payment{}, err
	}
	if err := s.index.learnCreate(&created, offset); err != nil {
		return provider.Payment{}, err
	}
	crashpoint.Hit("provider create after")
	return s.index.payment(*s.index.at(n), &created), nil
}

func check(d provider.Draft) error {
	switch {
	case len(d.Key) == 0 || len(d.Key) > keyMax || !plain(d.Key):
		return fmt.Errorf("create payment: the key must be 1 to %d plain characters", keyMax)
	case len(d.Reference) > refMax || !plain(d.Reference):
		return fmt.Errorf("create payment: the reference must be at most %d plain characters", refMax)
	case d.Amount.Minor <= 0 || len(d.Amount.Currency) != 3 || !plain(d.Amount.Currency):
		return fmt.Errorf("create payment: the amount must be more than nothing, got %s", d.Amount)
	case len(d.Token) > tokenMax || !plain(d.Token):
		return provider.ErrTokenRefused
	}
	_, _, err := parseToken(d.Token)
	return err
}

// again answers a draft whose key was used.
func (s *Sandbox) again(n uint32, d provider.Draft) (provider.Payment, error) {
	e := s.index.at(n)
	created, err := s.recorded(e.offset)
	if err != nil {
		return provider.Payment{}, err
	}
	if created.Ref != d.Reference || created.Token != d.Token ||
		created.Amount != d.Amount.Minor || created.Currency != d.Amount.Currency {
		return provider.Payment{}, provider.ErrKeyReused
	}
	return s.index.payment(*e, &created), nil
}

// recorded reads a line back.
func (s *Sandbox) recorded(offset int64) (r record, err error) {
	line, err := s.journal.line(offset)
	if err == nil {
		err = r.parse(line)
	}
	return r, err
}

// Confirm asks for the money as the payment's token says.
func (s *Sandbox) Confirm(ctx context.Context, id, attemptKey string) (provider.Payment, error) {
	if len(attemptKey) > keyMax || !plain(attemptKey) {
		return provider.Payment{}, fmt.Errorf("confirm payment: the attempt key must be at most %d plain characters", keyMax)
	}
	if err := s.ready(ctx); err != nil {
		return provider.Payment{}, err
	}
	how, err := s.confirm(id, attemptKey)
	if err == nil {
		err = s.keepWaiting(ctx, how)
	}
	if err != nil {
		return provider.Payment{}, fmt.Errorf("confirm payment %s: %w", id, err)
	}
	if how.decided {
		return s.payment(how.entry)
	}
	return s.Get(ctx, id)
}

// answer is how a confirming call ends.
type answer struct {
	manner  manner
	delay   time.Duration
	decided bool  // entry is the answer, and is on the disk
	entry   entry // as this call made it
}

// confirm decides and writes it down, unless that was done before.
func (s *Sandbox) confirm(id, attemptKey string) (answer, error) {
	if err := s.enter(); err != nil {
		return answer{}, err
	}
	n, err := s.index.find(id)
	if err != nil || s.index.at(n).status != provider.Created {
		s.leave()
		return answer{}, err
	}
	e := s.index.at(n)
	play, delay := scripts[e.script], scripts[e.script].delay(e.ownTime(), s.o)
	crashpoint.Hit("provider confirm before")
	err = s.change(n, record{Type: "confirm", Attempt: attemptKey}, play.confirmed(s.now(), delay))
	end, made := s.journal.size, *e
	s.leave()
	if err == nil {
		err = s.journal.sync(end)
	}
	crashpoint.Hit("provider confirm after")
	return answer{play.manner, delay, play.manner == answers, made}, err
}

// keepWaiting delays or loses the answer.
func (s *Sandbox) keepWaiting(ctx context.Context, how answer) error {
	switch how.manner {
	case dies:
		return errConnection
	case silent:
		return s.wait(ctx, silenceMax, errConnection)
	case waits:
		return s.wait(ctx, how.delay, nil)
	}
	return nil
}

func (s *Sandbox) wait(ctx context.Context, d time.Duration, over error) error {
	timer := s.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return over
	case <-s.life.Done():
		return errConnection
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Get reads a payment. It never shows what a power cut could take back.
func (s *Sandbox) Get(ctx context.Context, id string) (provider.Payment, error) {
	if err := s.ready(ctx); err != nil {
		return provider.Payment{}, err
	}
	if err := s.enter(); err != nil {
		return provider.Payment{}, err
	}
	n, err := s.index.find(id)
	if err == nil {
		err = s.settle(n)
	}
	if err != nil {
		s.leave()
		return provider.Payment{}, err
	}
	e, firm := *s.index.at(n), s.journal.firm
	s.leave()
	if err := s.journal.sync(firm); err != nil {
		return provider.Payment{}, err
	}
	return s.payment(e)
}

// payment is the port's view of an entry.
func (s *Sandbox) payment(e entry) (provider.Payment, error) {
	created, err := s.recorded(e.offset)
	if err != nil {
		return provider.Payment{}, err
	}
	return s.index.payment(e, &created), nil
}

// Cancel drops an unconfirmed payment and voids an authorized one. Pending
// ones are refused, except those that would stay pending for ever.
func (s *Sandbox) Cancel(ctx context.Context, id string) (provider.Payment, error) {
	if err := s.ready(ctx); err != nil {
		return provider.Payment{}, err
	}
	if err := s.enter(); err != nil {
		return provider.Payment{}, err
	}
	n, err := s.index.find(id)
	if err == nil {
		err = s.settle(n)
	}
	if err == nil {
		err = s.cancel(n)
	}
	s.leave()
	if err != nil {
		return provider.Payment{}, err
	}
	p, err := s.Get(ctx, id)
	crashpoint.Hit("provider cancel after")
	return p, err
}

func (s *Sandbox) cancel(n uint32) error {
	e := s.index.at(n)
	switch e.status {
	case provider.Canceled, provider.Captured, provider.Declined:
		return nil
	case provider.Pending:
		if scripts[e.script].settles != never {
			return provider.ErrPending
		}
	}
	crashpoint.Hit("provider cancel before")
	return s.change(n, record{Type: "cancel"}, e.ended(reasonRequested))
}

// List gives the payments in the order of their making.
func (s *Sandbox) List(ctx context.Context, cursor string, limit int) ([]provider.Payment, string, error) {
	from, err := strconv.ParseUint("0"+cursor, 10, 32)
	if err != nil {
		return nil, "", fmt.Errorf("list payments: bad cursor %q", cursor)
	}
	if err := s.ready(ctx); err != nil {
		return nil, "", err
	}
	entries, more, err := s.entries(from, max(limit, 1))
	if err != nil {
		return nil, "", fmt.Errorf("list payments: %w", err)
	}
	page := make([]provider.Payment, len(entries))
	for i, e := range entries {
		if page[i], err = s.payment(e); err != nil {
			return nil, "", fmt.Errorf("list payments: %w", err)
		}
	}
	if !more {
		return page, "", nil
	}
	return page, strconv.FormatUint(from+uint64(len(page)), 10), nil
}

// entries is a page of the index, of which no power cut can take anything back.
func (s *Sandbox) entries(from uint64, limit int) (page []entry, more bool, err error) {
	if err := s.enter(); err != nil {
		return nil, false, err
	}
	total := uint64(len(s.index.entries))
	last := min(total, from+uint64(limit))
	for n := from + 1; n <= last && err == nil; n++ {
		err = s.settle(uint32(n))
	}
	if err == nil && from < last {
		page = slices.Clone(s.index.entries[from:last])
	}
	firm := s.journal.firm
	s.leave()
	if err == nil {
		err = s.journal.sync(firm)
	}
	return page, last < total, err
}

// VerifyWebhook checks the signature and the time of a webhook.
func (s *Sandbox) VerifyWebhook(headers http.Header, body []byte) (provider.Event, error) {
	return verify(s.o.Secret, headers, body, s.o.Clock.Now())
}
