package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

const heardBy = "listener.talker"

// listener is a process that hears a source and counts each event in its store.
type listener struct {
	t        testing.TB
	store    *sqlstore.Store
	bus      *bus.Bus
	registry *prometheus.Registry
}

// listen starts a consumer of a source that lives at the broker.
func listen(t testing.TB, broker *natsbus.Broker, from bus.Start) *listener {
	t.Helper()
	l := newListener(t)
	l.start(broker, from, count)
	return l
}

func newListener(t testing.TB) *listener {
	t.Helper()
	return &listener{t: t, store: openStore(t, filepath.Join(t.TempDir(), "listener.db"), bus.Schema(), heardSchema), registry: prometheus.NewRegistry()}
}

var heardSchema = sqlstore.Schema{Name: "heard", Files: fstest.MapFS{"001_heard.sql": {Data: []byte(
	`CREATE TABLE heard (position BIGINT PRIMARY KEY, subject TEXT NOT NULL, prev BIGINT NOT NULL, turn BIGINT NOT NULL);
	CREATE TABLE tally (events BIGINT NOT NULL, positions BIGINT NOT NULL);
	INSERT INTO tally VALUES (0, 0)`)}}}

func openStore(t testing.TB, path string, schemas ...sqlstore.Schema) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(context.Background(), path, sqlstore.Options{Schemas: schemas})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func (l *listener) start(broker *natsbus.Broker, from bus.Start, handle bus.BatchHandler) {
	l.t.Helper()
	options := bus.Options{Remote: broker.Feed}
	if l.registry != nil {
		options.Registerer = l.registry
	}
	l.bus = bus.New(options)
	b := l.bus
	if err := b.Subscribe(bus.Consumer{
		Name: heardBy, Source: "talker", From: from, Store: l.store, BackoffMin: time.Millisecond, BackoffMax: 50 * time.Millisecond,
		HandleAll: map[string]bus.BatchHandler{bustest.Type: handle},
	}); err != nil {
		l.t.Fatal(err)
	}
	if err := b.Attach(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Run(context.Background()) }()
	l.t.Cleanup(func() {
		b.Close()
		if err := <-ended; err != nil {
			l.t.Error(err)
		}
	})
}

// count counts events; the second time that one counts, its key is refused.
func count(tx sqlstore.Tx, events []bus.Event) error {
	var turn int64
	if err := tx.QueryRow(`SELECT COALESCE(MAX(turn), 0) FROM heard`).Scan(&turn); err != nil {
		return err
	}
	for i := range events {
		turn++
		if _, err := tx.Exec(`INSERT INTO heard (position, subject, prev, turn) VALUES (?, ?, ?, ?)`,
			events[i].Position, events[i].Subject, events[i].Prev, turn); err != nil {
			return err
		}
	}
	return nil
}

// tally only adds up, for backlogs that are large.
func tally(tx sqlstore.Tx, events []bus.Event) error {
	sum := int64(0)
	for i := range events {
		sum += events[i].Position
	}
	_, err := tx.Exec(`UPDATE tally SET events = events + ?, positions = positions + ?`, len(events), sum)
	return err
}

// tallied fails unless each position up to last was added once.
func (l *listener) tallied(last int64) {
	l.t.Helper()
	var events, positions int64
	if err := l.store.View(context.Background(), func(tx sqlstore.Tx) error {
		return tx.QueryRow(`SELECT events, positions FROM tally`).Scan(&events, &positions)
	}); err != nil {
		l.t.Fatal(err)
	}
	if events != last || positions != last*(last+1)/2 {
		l.t.Errorf("heard %d events whose positions come to %d, want each of %d once", events, positions, last)
	}
}

// follows waits until the consumer is attached.
func (l *listener) follows() {
	l.t.Helper()
	until(l.t, "the consumer follows", func() error { return l.bus.Ready() })
}

// settles waits until the consumer has settled all up to a position, for as
// long as it goes on.
func (l *listener) settles(position int64) {
	l.t.Helper()
	for at := int64(0); at < position; {
		at, _ = l.bus.Position(heardBy)
		l.comes(min(position, at+500))
	}
}

// comes waits until the consumer has come to a position.
func (l *listener) comes(position int64) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.bus.WaitFor(ctx, heardBy, "talker", position); err != nil {
		l.t.Fatalf("%v (ready: %v)", err, l.bus.Ready())
	}
}

// wants fails unless each of the positions from first to last counted once, and
// each key in its order.
func (l *listener) wants(first, last int64) {
	l.t.Helper()
	var heard, lowest, highest, disordered int64
	if err := l.store.View(context.Background(), func(tx sqlstore.Tx) error {
		if err := tx.QueryRow(`SELECT COUNT(*), COALESCE(MIN(position), 0), COALESCE(MAX(position), 0) FROM heard`).
			Scan(&heard, &lowest, &highest); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT COUNT(*) FROM heard later JOIN heard earlier ON earlier.position = later.prev
			WHERE earlier.turn > later.turn`).Scan(&disordered)
	}); err != nil {
		l.t.Fatal(err)
	}
	if heard != last-first+1 || lowest != first || highest != last {
		l.t.Errorf("heard %d events from %d to %d, want those from %d to %d once", heard, lowest, highest, first, last)
	}
	if disordered > 0 {
		l.t.Errorf("%d events counted before the previous one of their key", disordered)
	}
	if letters, err := l.bus.List(context.Background(), heardBy, 0, 0); err != nil || len(letters) > 0 {
		l.t.Errorf("letters %v, %v", letters, err)
	}
}

// until waits for a state that comes of itself.
func until(t testing.TB, what string, state func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := state()
	for ; err != nil; err = state() {
		if late := clock.Sleep(ctx, 2*time.Millisecond); late != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}
}

// babble says count events on seven subjects.
func babble(source *bustest.Source, count int) (last int64) {
	for i := range count {
		last = source.Say("subject-" + strconv.Itoa(i%7))
	}
	return last
}

// copies fails unless each message of the stream is the source's record of that
// number, up to the last.
func copies(t testing.TB, url, shop string, source bus.Feed) {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	ends(t, js, natsbus.Stream(shop, source.Source()), source)
	stream, err := js.Stream(ctx, natsbus.Stream(shop, source.Source()))
	if err != nil {
		t.Fatal(err)
	}
	first := int64(stream.CachedInfo().State.FirstSeq)
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	for position := first; position <= source.Head(); position++ {
		if err := same(ctx, messages, source, position); err != nil {
			t.Fatal(err)
		}
	}
}

// ends waits until a stream ends where its source does, for as long as it grows.
func ends(t testing.TB, js jetstream.JetStream, name string, source bus.Feed) {
	t.Helper()
	last := int64(-1)
	for last != source.Head() {
		until(t, "the stream grows to the end of the log", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			stream, err := js.Stream(ctx, name)
			if err != nil {
				return err
			}
			if at := int64(stream.CachedInfo().State.LastSeq); at == last {
				return fmt.Errorf("it ends at %d, the log at %d", at, source.Head())
			}
			last = int64(stream.CachedInfo().State.LastSeq)
			return nil
		})
	}
}

func same(ctx context.Context, messages jetstream.MessagesContext, source bus.Feed, position int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return err
	}
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	ev, err := natsbus.Decode(&nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}, source.Source())
	if err != nil {
		return err
	}
	records, err := source.After(ctx, position-1, 1)
	if err != nil || len(records) != 1 {
		return errors.Join(err, fmt.Errorf("the log has %d records at %d", len(records), position))
	}
	if want := records[0]; int64(meta.Sequence.Stream) != position || ev.Position != position || ev.Prev != want.Prev ||
		ev.Type != want.Type || !ev.Time.Equal(want.Time) {
		return fmt.Errorf("message %d is %+v, the log's record %d is %+v", meta.Sequence.Stream, ev, position, want)
	}
	return nil
}
