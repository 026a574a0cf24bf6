package sandbox

import (
	"container/heap"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/services/payments/provider"
)

// Bounds of the courier.
const (
	letterTries   = 12               // deliveries tried before a letter is dropped
	letterBackoff = time.Second      // after the first failure; doubles
	letterWaitMax = time.Minute      // the longest wait between two tries
	lettersMax    = 100_000          // unsent letters kept; later events are dropped
	postsAtOnce   = 16               // deliveries under way
	postTimeout   = 10 * time.Second // one delivery
	answerMax     = 4 << 10          // bytes of an answer that are read, so that the connection can be used again
)

// letter is one event to be delivered or, in the agenda of settlings, one
// payment to be settled.
type letter struct {
	due      int64 // unix microseconds
	created  int64 // when the event happened
	written  int64 // end of its lines in the journal, which are synced before it is told
	captured int64 // of the payment then
	refunded int64 // of the payment then
	payment  uint32
	number   uint32          // of the event
	epoch    uint32          // of the event's id
	status   provider.Status // of the payment then
	word     uint8           // what is told, see words
	copies   uint8           // deliveries still to be made
	tries    uint8
}

// agenda gives letters by their time.
type agenda []letter

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due < a[j].due }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push is for container/heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(letter)) }

// Pop is for container/heap.
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func (a *agenda) push(l letter) { heap.Push(a, l) }

// popDue takes the first letter if its time has come.
func (a *agenda) popDue(now int64) (letter, bool) {
	if len(*a) == 0 || (*a)[0].due > now {
		return letter{}, false
	}
	return heap.Pop(a).(letter), true
}

// courier delivers events. The sandbox's lock guards its agendas.
type courier struct {
	o         Options
	client    *http.Client
	letters   agenda
	settlings agenda
	numbers   uint32 // the last event's number
	slots     chan struct{}
	poke      chan struct{}
}

func newCourier(o Options) courier {
	return courier{
		o: o,
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: postsAtOnce, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots: make(chan struct{}, postsAtOnce),
		poke:  make(chan struct{}, 1),
	}
}

// announce makes the letters about what a payment has become.
func (c *courier) announce(payment uint32, m mail, word uint8, is state, now int64) []letter {
	if c.o.WebhookURL == "" || m == none || word == wordPending {
		return nil
	}
	l := letter{
		due: now, created: now, payment: payment, word: word, copies: 1,
		status: is.status, captured: is.captured, refunded: is.refunded,
	}
	switch m {
	case twice:
		l.copies = 2
	case late:
		l.due += c.o.LateFor.Microseconds()
	case reordered:
		if word < wordCanceled {
			earlier := l
			earlier.word, earlier.status = wordPending, provider.Pending
			earlier.due += c.o.ReorderBy.Microseconds()
			return []letter{earlier, l}
		}
	}
	return []letter{l}
}

// write numbers a letter and appends its line, and another when there is no
// room for it.
func (c *courier) write(lines []byte, epoch uint32, id string, l *letter, now int64) []byte {
	c.numbers++
	l.number, l.epoch = c.numbers, epoch
	r := record{
		Type: "event", Event: l.id(), ID: id, Kind: eventPrefix + words[l.word],
		Copies: int64(l.copies), Due: l.due, At: now,
	}
	if l.captured > 0 {
		r.Status, r.Captured, r.Refunded = l.status.String(), l.captured, l.refunded
	}
	lines = r.append(lines)
	if len(c.letters) < lettersMax {
		return lines
	}
	l.copies = 0
	dropped := record{Type: "dropped", Event: l.id(), At: now}
	return dropped.append(lines)
}

func (l *letter) id() string { return name("evt_", l.epoch, l.number) }

func (c *courier) post(letters []letter, written int64) {
	for _, l := range letters {
		if l.copies > 0 {
			l.written = written
			c.letters.push(l)
		}
	}
	if len(letters) > 0 {
		c.wake()
	}
}

func (c *courier) wake() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// learn takes over one line of the journal.
func (c *courier) learn(r *record, unsent map[uint32]letter) {
	if r.Event == "" {
		return
	}
	epoch, number, _ := parseName("evt_", r.Event)
	c.numbers = max(c.numbers, number)
	if r.Type != "event" {
		delete(unsent, number)
		return
	}
	_, payment, _ := parseName("sbx_", r.ID)
	unsent[number] = letter{
		due: r.Due, created: r.At, payment: payment, number: number, epoch: epoch, copies: uint8(r.Copies),
		word:   uint8(max(0, slices.Index(words[:], strings.TrimPrefix(r.Kind, eventPrefix)))),
		status: provider.ParseStatus(r.Status), captured: r.Captured, refunded: r.Refunded,
	}
}

// run settles payments and delivers letters when their time comes.
func (s *Sandbox) run() {
	timer := s.o.Clock.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.work())
		select {
		case <-s.life.Done():
			return
		case <-s.courier.poke:
		case <-timer.C():
		}
	}
}

// idleWait is how long the courier sleeps when nothing is due.
const idleWait = time.Hour

// work does what is due and returns how long there is nothing to do.
func (s *Sandbox) work() time.Duration {
	if err := s.enter(); err != nil {
		s.o.Log.Error("sandbox provider: settle payments", "err", err)
		return idleWait
	}
	defer s.leave()
	now, c := s.now(), &s.courier
	for l, due := c.settlings.popDue(now); due; l, due = c.settlings.popDue(now) {
		if err := s.settle(l.payment); err != nil {
			s.o.Log.Error("sandbox provider: settle payment", "err", err)
		}
	}
	next := now + idleWait.Microseconds()
	if len(c.settlings) > 0 {
		next = min(next, c.settlings[0].due)
	}
	for s.deliverNext(now) {
	}
	if len(c.letters) > 0 && len(c.slots) < cap(c.slots) {
		next = min(next, c.letters[0].due)
	}
	return max(0, time.Duration(next-now)*time.Microsecond)
}

// deliverNext begins one delivery if a letter is due and a slot is free; the
// end of a delivery wakes the courier again.
func (s *Sandbox) deliverNext(now int64) bool {
	c := &s.courier
	if len(c.slots) == cap(c.slots) {
		return false
	}
	l, due := c.letters.popDue(now)
	if !due {
		return false
	}
	id := s.index.id(l.payment)
	c.slots <- struct{}{}
	s.done.Go(func() {
		err := s.deliver(l, id)
		s.delivered(l, err)
		<-c.slots
		c.wake()
	})
	return true
}

// deliver posts one letter, once no power cut can take back what it says.
func (s *Sandbox) deliver(l letter, id string) error {
	if err := s.journal.sync(l.written); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.life, postTimeout)
	defer cancel()
	body := eventBody(l, id)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.WebhookURL, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = Sign(s.o.Secret, l.id(), s.o.Clock.Now(), []byte(body))
	answer, err := s.courier.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, answerMax)
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}

// delivered notes the end of a letter or when to try again.
func (s *Sandbox) delivered(l letter, err error) {
	if err := s.enter(); err != nil {
		s.o.Log.Error("sandbox provider: note webhook", "event", l.id(), "err", err)
		return
	}
	defer s.leave()
	now := s.now()
	end := record{Type: "sent", Event: l.id(), At: now}
	switch {
	case err == nil && l.copies > 1:
		l.copies--
		l.due = now
		s.courier.letters.push(l)
		return
	case err != nil && l.tries+1 < letterTries:
		l.due = now + min(letterBackoff<<l.tries, letterWaitMax).Microseconds()
		l.tries++
		s.courier.letters.push(l)
		return
	case err != nil:
		end.Type = "dropped"
		s.o.Log.Warn("sandbox provider: webhook dropped", "event", l.id(), "err", err)
	}
	s.scratch = end.append(s.scratch[:0])
	if err := s.journal.write(s.scratch); err != nil {
		s.o.Log.Error("sandbox provider: note webhook", "event", l.id(), "err", err)
	}
}
