// Package sandbox is a payment provider to develop and to test against. It
// plays an outsider: its books are a journal in a folder of its own, written
// before it answers, which no database of the shop knows and no crash of the
// shop harms. Magic tokens make it decline, dawdle, die and stay silent, and
// its signed webhooks arrive twice, late or out of order when told to;
// docs/sandbox-provider.md lists them.
//
//	journal ──▶ index, in the background of the opening; calls wait for it
//	call ──▶ journal line ──▶ index in memory ──▶ answer
//	              │
//	              └──▶ event lines ──▶ courier ──POST──▶ the shop's webhook
//
// It is addressed through the port only.
package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/services/payments/provider"
)

// Name is the sandbox's name among providers.
const Name = "sandbox"

// Bounds of a draft's words, so that a journal line is bounded.
const (
	keyMax   = 200
	refMax   = 64
	tokenMax = 64
)

// silenceMax is how long a call that is never answered is kept when its caller
// sets no deadline.
const silenceMax = time.Minute

// Defaults of Options.
const (
	slowFor    = 2 * time.Second
	pendingFor = 5 * time.Second
	lateFor    = 30 * time.Second
	reorderBy  = 200 * time.Millisecond
	livesFor   = 7 * 24 * time.Hour
)

// errConnection is what a caller sees of a connection that died.
var errConnection = errors.New("connection to the sandbox provider was lost")

// Options tune a sandbox; the zero value sends no webhooks.
type Options struct {
	Clock clock.Clock
	Log   *slog.Logger
	// Secret signs webhooks; without it VerifyWebhook trusts nobody.
	Secret []byte
	// WebhookURL is where webhooks are posted; empty for none.
	WebhookURL string
	// SlowFor is how long tok_slow takes to answer, 2 s when 0.
	SlowFor time.Duration
	// PendingFor is how long unanswered payments stay pending, 5 s when 0.
	PendingFor time.Duration
	// LateFor is how late tok_late_webhook announces, 30 s when 0.
	LateFor time.Duration
	// ReorderBy is how long tok_reorder_webhooks keeps the earlier event back, 200 ms when 0.
	ReorderBy time.Duration
	// AuthorizationLives is when an authorization lapses, 7 days when 0.
	AuthorizationLives time.Duration
	// SingleCapture makes payments that are captured once, not in parts.
	SingleCapture bool
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.SlowFor, slowFor},
		{&o.PendingFor, pendingFor},
		{&o.LateFor, lateFor},
		{&o.ReorderBy, reorderBy},
		{&o.AuthorizationLives, livesFor},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return o
}

// Sandbox is the provider. It is safe for concurrency.
type Sandbox struct {
	o       Options
	journal *journal
	courier courier
	read    chan struct{} // closed when the journal has been read, or cannot be
	unread  error         // why it cannot be; set before read is closed

	mu      sync.Mutex // guards what follows and the journal's ends; see take
	index   index
	epoch   uint32
	scratch []byte // lines being written

	life context.Context // of calls that wait and webhooks under way
	end  context.CancelFunc
	done sync.WaitGroup
}

var (
	_ provider.Provider = (*Sandbox)(nil)
	_ provider.Lister   = (*Sandbox)(nil)
)

// Open opens the sandbox whose journal lies in dir, making it if need be. The
// journal is read in the background, however long it has grown; calls wait
// until that is done, and are refused if it cannot be. Then it takes up what it
// had left: payments that are to settle and webhooks unsent.
func Open(dir string, o Options) (*Sandbox, error) {
	journal, err := openJournal(dir)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{o: o.withDefaults(), journal: journal, index: newIndex(), read: make(chan struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	s.courier = newCourier(s.o)
	s.done.Go(func() {
		if s.takeUp() {
			s.run()
		}
	})
	return s, nil
}

// takeUp reads the journal and lets the calls in; false when it cannot be read
// or nobody waits for it any more.
func (s *Sandbox) takeUp() bool {
	defer close(s.read)
	if s.unread = s.learn(); s.unread == nil {
		return true
	}
	if s.life.Err() == nil {
		s.o.Log.Error("sandbox provider: every call is refused", "err", s.unread)
	}
	return false
}

// learn makes the index and the agendas of what the journal says.
func (s *Sandbox) learn() error {
	unsent := map[uint32]letter{}
	var r record
	if err := s.take(); err != nil {
		return err
	}
	defer s.leave()
	err := s.journal.load(func(line string, offset int64) error {
		if s.life.Err() != nil {
			return errConnection
		}
		if err := r.parse(line); err != nil {
			return err
		}
		s.epoch = max(s.epoch, uint32(r.Epoch))
		s.courier.learn(&r, unsent)
		return s.index.learn(&r, offset)
	})
	if err != nil {
		return err
	}
	return s.begin(unsent)
}

// take has the sandbox for one goroutine, and the journal for this process: others may have the same provider.
func (s *Sandbox) take() error {
	s.mu.Lock()
	err := s.journal.lock()
	if err != nil {
		s.mu.Unlock()
	}
	return err
}

// enter is take, and learns what other processes have written meanwhile. Their webhooks and timers stay theirs.
func (s *Sandbox) enter() error {
	if err := s.take(); err != nil {
		return err
	}
	var r record
	err := s.journal.catchUp(func(line string, offset int64) error {
		if err := r.parse(line); err != nil {
			return err
		}
		_, number, _ := parseName("evt_", r.Event)
		s.courier.numbers = max(s.courier.numbers, number)
		return s.index.learn(&r, offset)
	})
	if err != nil {
		s.leave()
	}
	return err
}

// leave lets go of what take took.
func (s *Sandbox) leave() {
	s.journal.unlock()
	s.mu.Unlock()
}

// ready waits until the journal has been read.
func (s *Sandbox) ready(ctx context.Context) error {
	select {
	case <-s.read:
		return s.unread
	default:
	}
	select {
	case <-s.read:
		return s.unread
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin writes the new epoch down before an id of it can be given out.
func (s *Sandbox) begin(unsent map[uint32]letter) error {
	s.epoch++
	opened := record{Type: "open", Epoch: int64(s.epoch), At: s.now()}
	if err := s.journal.write(opened.append(nil)); err != nil {
		return err
	}
	for i := range s.index.entries {
		s.expectSettling(uint32(i + 1))
	}
	for _, l := range unsent {
		s.courier.letters.push(l)
	}
	return s.journal.sync(s.journal.size)
}

// Close stops the courier, releases calls that wait, and closes the journal.
func (s *Sandbox) Close() error {
	s.end()
	s.done.Wait()
	s.courier.client.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.close()
}

// Name is "sandbox".
func (s *Sandbox) Name() string { return Name }

// Capabilities are captures in parts, unless they were turned off, and
// authorizations of a week.
func (s *Sandbox) Capabilities() provider.Capabilities {
	return provider.Capabilities{MultiCapture: !s.o.SingleCapture, AuthorizationLives: s.o.AuthorizationLives}
}

func (s *Sandbox) now() int64 { return s.o.Clock.Now().UnixMicro() }
