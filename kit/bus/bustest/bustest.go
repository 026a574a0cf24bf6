// Package bustest is the suite that every way of delivering events passes. It
// is the specification of the bus: whatever a transport does to the order and
// the number of deliveries, each event counts once, in the order of its key.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

// patience bounds how long a test waits for a consumer.
const patience = 30 * time.Second

// consumerName is the consumer under test.
const consumerName = "test.said"

// Deliver is the transport under test: what a consumer sees of a source.
type Deliver func(t *testing.T, source bus.Feed) bus.Feed

// Run proves a transport.
func Run(t *testing.T, deliver Deliver) {
	for _, row := range []struct {
		name string
		test func(*testing.T, Deliver)
	}{
		{"each event counts once, in the order of its key", countsOnce},
		{"an event counts once across restarts in the middle", survivesRestart},
		{"a key is parked behind its dead letter and redriven in order", parksAndRedrives},
		{"a skipped letter frees its key and is remembered", skips},
		{"a panic is a failure and not a crash", survivesPanic},
		{"from now begins where it first subscribed, for ever", beginsNow},
		{"who waits for a position reads its effect", readsOwnWrites},
	} {
		t.Run(row.name, func(t *testing.T) { row.test(t, deliver) })
	}
}

// shop is one consumer over one source and a store that outlives restarts.
type shop struct {
	t       *testing.T
	path    string
	deliver Deliver
	source  *Source
	from    bus.Start
	poison  func(bus.Event) error // what a handler fails with
	shaky   bool                  // handlers fail by chance, and are tried often enough

	store *sqlstore.Store
	bus   *bus.Bus
	ended chan error
}

func open(t *testing.T, deliver Deliver) *shop {
	s := &shop{t: t, path: filepath.Join(t.TempDir(), "room.db"), deliver: deliver, source: NewSource("talker")}
	t.Cleanup(s.close)
	return s
}

// start opens the store and sets the consumer to work.
func (s *shop) start() {
	s.t.Helper()
	store, err := sqlstoretest.Open(context.Background(), s.path, sqlstore.Options{
		Name: "room", Schemas: []sqlstore.Schema{bus.Schema(), {Name: "effects", Files: effects()}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.store, s.bus, s.ended = store, bus.New(bus.Options{BatchMax: 32}), make(chan error, 1)
	s.bus.Publish(s.deliver(s.t, s.source))
	consumer := bus.Consumer{
		Name: consumerName, Source: "talker", From: s.from, Store: store, Attempts: 3,
		BackoffMin: time.Millisecond, BackoffMax: 4 * time.Millisecond,
		Handle: map[string]bus.Handler{Type: s.handle},
	}
	if s.shaky {
		consumer.Handle, consumer.Attempts = faultbus.Handlers(consumer.Handle, faultbus.Options{Seed: 3}), 50
	}
	if err := s.bus.Subscribe(consumer); err != nil {
		s.t.Fatal(err)
	}
	go func() { s.ended <- s.bus.Run(context.Background()) }()
	s.follow()
}

// follow waits until the consumer follows its source, which in this process it
// does at once.
func (s *shop) follow() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for s.bus.Ready() != nil {
		if err := clock.Sleep(ctx, time.Millisecond); err != nil {
			s.t.Fatal(errors.Join(err, s.bus.Ready()))
		}
	}
}

func (s *shop) close() {
	if s.bus == nil {
		return
	}
	s.bus.Close()
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
	if err := s.store.Close(); err != nil {
		s.t.Error(err)
	}
	s.bus = nil
}

func (s *shop) restart() {
	s.close()
	s.start()
}

// effects is the consumer's own table: each event once, and when it counted.
func effects() fs.FS {
	return fstest.MapFS{"001_effects.sql": {Data: []byte(
		`CREATE TABLE effects (position BIGINT PRIMARY KEY, turn BIGINT NOT NULL, subject TEXT NOT NULL)`)}}
}

// handle has its effect, then fails if the test says so: the effect must go.
func (s *shop) handle(tx sqlstore.Tx, event bus.Event) error {
	if _, err := tx.Exec(`INSERT INTO effects (position, turn, subject)
		SELECT ?, COALESCE(MAX(turn), 0) + 1, ? FROM effects`, event.Position, event.Subject); err != nil {
		return err
	}
	if s.poison != nil {
		return s.poison(event)
	}
	return nil
}

// settle waits until the consumer has settled all that was said.
func (s *shop) settle() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.bus.WaitFor(ctx, consumerName, "talker", s.source.Head()); err != nil {
		s.t.Fatal(err)
	}
}

// counted is the positions that counted, by subject, in the order in which they did.
func (s *shop) counted() map[string][]int64 {
	s.t.Helper()
	counted := make(map[string][]int64)
	err := s.store.View(context.Background(), func(tx sqlstore.Tx) error {
		rows, err := tx.Query(`SELECT position, subject FROM effects ORDER BY turn`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var position int64
			var subject string
			if err := rows.Scan(&position, &subject); err != nil {
				return err
			}
			counted[subject] = append(counted[subject], position)
		}
		return rows.Err()
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return counted
}

// wants fails unless exactly these positions counted, in this order by subject.
func (s *shop) wants(want map[string][]int64) {
	s.t.Helper()
	counted := s.counted()
	for subject, positions := range want {
		if !slices.Equal(counted[subject], positions) {
			s.t.Errorf("of %s counted %v, want %v", subject, counted[subject], positions)
		}
		delete(counted, subject)
	}
	for subject, positions := range counted {
		s.t.Errorf("of %s counted %v, want none", subject, positions)
	}
}

func (s *shop) letters() []bus.Letter {
	s.t.Helper()
	letters, err := s.bus.List(context.Background(), consumerName, 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return letters
}

// babble says count things on a few subjects, some of no interest, and returns
// those that are to count.
func (s *shop) babble(count int, want map[string][]int64) {
	random := rand.New(rand.NewPCG(uint64(count), 7))
	for range count {
		subject := fmt.Sprintf("subject-%d", random.IntN(7))
		switch random.IntN(4) {
		case 0:
			s.source.Record(subject, "")
		case 1:
			s.source.Record(subject, "souk.test.v1.Unheard")
		default:
			want[subject] = append(want[subject], s.source.Say(subject))
		}
	}
}

func countsOnce(t *testing.T, deliver Deliver) {
	s, want := open(t, deliver), map[string][]int64{}
	s.shaky = true
	s.babble(200, want)
	s.start()
	s.babble(201, want)
	s.settle()
	s.wants(want)
}

func survivesRestart(t *testing.T, deliver Deliver) {
	s, want := open(t, deliver), map[string][]int64{}
	s.shaky = true
	s.start()
	for round := range 6 {
		s.babble(60+round, want)
		s.restart()
	}
	s.settle()
	s.wants(want)
	if letters := s.letters(); len(letters) > 0 {
		t.Errorf("letters %v, want none", letters)
	}
}

// parked brings a consumer to the state in which positions 2, 4 and 6 of
// "bad" are letters and "good" went on.
func parked(t *testing.T, deliver Deliver) *shop {
	s := open(t, deliver)
	s.poison = func(event bus.Event) error {
		if event.Position == 2 {
			return errors.New("cannot be done yet")
		}
		return nil
	}
	for range 3 {
		s.source.Say("good")
		s.source.Say("bad")
	}
	s.start()
	s.settle()
	s.wants(map[string][]int64{"good": {1, 3, 5}})
	var at []int64
	for _, letter := range s.letters() {
		at = append(at, letter.Position)
	}
	if !slices.Equal(at, []int64{2, 4, 6}) {
		t.Fatalf("letters at %v, want those of the bad key, 2 4 6", at)
	}
	return s
}

func parksAndRedrives(t *testing.T, deliver Deliver) {
	s, ctx, by := parked(t, deliver), context.Background(), bus.By{Actor: "staff:key"}
	if got, err := s.bus.Redrive(ctx, consumerName, by); err != nil || got.Handled != 0 || got.Left != 3 || got.Failed != "test.said:2" {
		t.Errorf("redriving what still fails is %+v, %v", got, err)
	}
	s.restart() // the key stays parked
	s.source.Say("bad")
	s.settle()
	s.wants(map[string][]int64{"good": {1, 3, 5}})

	s.close()
	s.poison = nil
	s.start()
	if got, err := s.bus.Redrive(ctx, "test.said:4", by); err != nil || got.Handled != 4 || got.Left != 0 {
		t.Errorf("redriving the key is %+v, %v; want 4 handled", got, err)
	}
	next := s.source.Say("bad")
	s.settle()
	s.wants(map[string][]int64{"good": {1, 3, 5}, "bad": {2, 4, 6, 7, next}})
}

func skips(t *testing.T, deliver Deliver) {
	s, ctx := parked(t, deliver), context.Background()
	if err := s.bus.Skip(ctx, "test.said:2", bus.By{Actor: "staff:key"}); problem.Of(err) == nil {
		t.Errorf("skipping without a reason is %v, want a refusal", err)
	}
	if err := s.bus.Skip(ctx, "test.said:2", bus.By{Actor: "staff:key", Reason: "counted by hand"}); err != nil {
		t.Fatal(err)
	}
	if err := s.bus.Skip(ctx, "test.said:2", bus.By{Actor: "staff:key", Reason: "twice"}); !problem.Is(err, "unknown_letter") {
		t.Errorf("skipping twice is %v, want unknown_letter", err)
	}
	if got, err := s.bus.Redrive(ctx, consumerName, bus.By{Actor: "staff:key"}); err != nil || got.Handled != 2 {
		t.Errorf("redriving the rest is %+v, %v; want 2 handled", got, err)
	}
	next := s.source.Say("bad")
	s.settle()
	s.wants(map[string][]int64{"good": {1, 3, 5}, "bad": {4, 6, next}})
	acts, err := s.bus.Acts(ctx, consumerName)
	if err != nil || len(acts) != 3 {
		t.Fatalf("acts %v, %v; want a skip and two redrives", acts, err)
	}
	first := acts[2]
	if first.Action != "skip" || first.Letter != "test.said:2" || first.Actor != "staff:key" || first.Reason != "counted by hand" || first.Time.IsZero() {
		t.Errorf("the skip is remembered as %+v", first)
	}
}

func survivesPanic(t *testing.T, deliver Deliver) {
	s := open(t, deliver)
	s.poison = func(event bus.Event) error {
		if event.Subject == "bad" {
			panic("no such thing")
		}
		return nil
	}
	s.source.Say("bad")
	good := s.source.Say("good")
	s.start()
	s.settle()
	s.wants(map[string][]int64{"good": {good}})
	if letters := s.letters(); len(letters) != 1 || letters[0].Attempts != 3 {
		t.Errorf("letters %+v, want the one that panicked 3 times", letters)
	}
}

func beginsNow(t *testing.T, deliver Deliver) {
	s := open(t, deliver)
	s.from = bus.FromNow
	s.source.Say("a")
	s.source.Say("b")
	s.start()
	s.close()
	third := s.source.Say("a") // said while nobody listened, but after the first subscription
	s.start()
	s.settle()
	s.wants(map[string][]int64{"a": {third}})
}

func readsOwnWrites(t *testing.T, deliver Deliver) {
	s := open(t, deliver)
	s.start()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 20 {
		position := s.source.Say("mine")
		if err := s.bus.WaitFor(ctx, consumerName, "talker", position); err != nil {
			t.Fatal(err)
		}
		if mine := s.counted()["mine"]; !slices.Contains(mine, position) {
			t.Fatalf("after the wait for %d only %v counted", position, mine)
		}
	}
	short, stop := context.WithTimeout(ctx, 5*time.Millisecond)
	defer stop()
	if err := s.bus.WaitFor(short, consumerName, "talker", 1_000); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for what never comes is %v, want the deadline", err)
	}
}
