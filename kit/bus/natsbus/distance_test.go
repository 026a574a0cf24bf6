package natsbus_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func TestAConsumerStartsBeforeItsSource(t *testing.T) {
	url, shop, source := embedded(t), newShop(), bustest.NewSource("talker")
	l := listen(t, connect(t, url, natsbus.Options{Shop: shop}), bus.FromStart)
	until(t, "the consumer says whom it waits for", func() error { return says(l.bus.Ready(), "no process of talker answers") })
	if err := l.bus.CaughtUp(t.Context(), heardBy); err == nil {
		t.Error("it says that it has caught up with a source that nobody knows")
	}
	if standings, err := l.bus.Standings(t.Context(), heardBy); err != nil || standings[0].Position != 0 {
		t.Errorf("standings %+v, %v", standings, err)
	}
	babble(source, 10)
	connect(t, url, natsbus.Options{Shop: shop}).Relay(source)
	l.follows()
	l.settles(10)
	l.wants(1, 10)
}

func TestFromNowBeginsAtTheSourcesTrueEnd(t *testing.T) {
	url, shop, source := embedded(t), newShop(), bustest.NewSource("talker")
	babble(source, 100)
	connect(t, url, natsbus.Options{Shop: shop, Alone: never}).Relay(source) // nothing is relayed yet
	there := connect(t, url, natsbus.Options{Shop: shop})
	l := listen(t, there, bus.FromNow)
	l.follows()
	babble(source, 10)
	connect(t, url, natsbus.Options{Shop: shop}).Relay(source)
	l.settles(110)
	l.wants(101, 110)
	l.bus.Close()
	babble(source, 10)
	l.registry = nil
	l.start(there, bus.FromNow, count)
	l.settles(120)
	l.wants(101, 120)
}

// never is a lease that another process has.
func never(ctx context.Context, _ string, _ func(context.Context)) { <-ctx.Done() }

func TestCaughtUpMeansWhatTheSourceHasSaidAndNotWhatWasRelayed(t *testing.T) {
	url, shop, source := embedded(t), newShop(), bustest.NewSource("talker")
	babble(source, 5)
	here := connect(t, url, natsbus.Options{Shop: shop, Alone: never})
	here.Relay(source)
	l := listen(t, connect(t, url, natsbus.Options{Shop: shop}), bus.FromStart)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 5 { // nothing is relayed: each must be asked for
		last := babble(source, 3)
		must(t, l.bus.CaughtUp(ctx, heardBy))
		l.wants(1, last)
	}
	here.Close()
	if err := l.bus.CaughtUp(ctx, heardBy); says(err, "no process of talker answers") != nil {
		t.Errorf("with nobody to ask it says %v", err)
	}
}

func TestAConsumerAheadOfItsSourceDoesNotFollow(t *testing.T) {
	url, shop := embedded(t), newShop()
	here := connect(t, url, natsbus.Options{Shop: shop})
	long := bustest.NewSource("talker")
	babble(long, 20)
	here.Relay(long)
	there := connect(t, url, natsbus.Options{Shop: shop})
	l := listen(t, there, bus.FromStart)
	l.settles(20)
	l.bus.Close()
	here.Close()
	short := bustest.NewSource("talker")
	babble(short, 10)
	connect(t, url, natsbus.Options{Shop: shop}).Relay(short)
	l.registry = nil
	l.start(there, bus.FromStart, count)
	until(t, "it says why", func() error { return says(l.bus.Ready(), "the source ends at 10; restore both") })
}

// room is a source with a real log, which can be restored from a backup.
type room struct {
	t    *testing.T
	path string
}

// says appends count events and relays them until the function that it returns.
func (r *room) says(broker *natsbus.Broker, count int) (head int64, end func()) {
	r.t.Helper()
	store := openStore(r.t, r.path, eventlog.Schema())
	log, err := eventlog.New(store)
	must(r.t, err)
	for range count {
		must(r.t, store.Update(r.t.Context(), func(tx sqlstore.Tx) error {
			_, err := log.Append(tx, "subject", eventlog.Any, eventlog.Event{Type: bustest.Type, Schema: 1, Meta: eventlog.Meta{Time: time.Now()}})
			return err
		}))
	}
	broker.Relay(bus.FeedOf("talker", log, nil))
	return log.Head(), func() { broker.Close(); must(r.t, store.Close()) }
}

// copied fails unless the stream is a copy of the log.
func (r *room) copied(url, shop string) {
	r.t.Helper()
	store := openStore(r.t, r.path, eventlog.Schema())
	log, err := eventlog.New(store)
	must(r.t, err)
	copies(r.t, url, shop, bus.FeedOf("talker", log, nil))
	must(r.t, store.Close())
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o600))
}

func TestALogRestoredFromABackupMakesItsStreamAnew(t *testing.T) {
	for name, after := range map[string]int{"shorter than the stream": 5, "longer by now": 60} {
		t.Run(name, func(t *testing.T) {
			url, shop := embedded(t), newShop()
			r := &room{t: t, path: filepath.Join(t.TempDir(), "room.db")}
			backup := r.path + ".backup"
			_, end := r.says(connect(t, url, natsbus.Options{Shop: shop}), 20)
			end()
			copyFile(t, r.path, backup)
			_, end = r.says(connect(t, url, natsbus.Options{Shop: shop}), 20)
			r.copied(url, shop)
			end()
			copyFile(t, backup, r.path)
			_, end = r.says(connect(t, url, natsbus.Options{Shop: shop}), after)
			defer end()
			r.copied(url, shop)
			l := listen(t, connect(t, url, natsbus.Options{Shop: shop}), bus.FromStart)
			l.settles(int64(20 + after))
			l.wants(1, int64(20+after))
		})
	}
}

func TestAStreamOfAnotherLogIsLeftAlone(t *testing.T) {
	url, shop := embedded(t), newShop()
	ours, theirs := bustest.NewSource("talker"), bustest.NewSource("talker")
	babble(theirs, 10)
	connect(t, url, natsbus.Options{Shop: shop}).Relay(theirs)
	copies(t, url, shop, theirs)
	time.Sleep(time.Millisecond) // so that the logs begin at different times
	babble(ours, 20)
	second := connect(t, url, natsbus.Options{Shop: shop})
	second.Relay(ours)
	until(t, "the relay refuses", func() error { return says(second.Ready(), "is a copy of another log") })
	copies(t, url, shop, theirs)
}

func TestASlowConsumerAndAHugeBacklog(t *testing.T) {
	const backlog = 100_000
	url, shop, source := embedded(t), newShop(), bustest.NewSource("talker")
	babble(source, backlog)
	here := connect(t, url, natsbus.Options{Shop: shop, Backfill: backlog / 2})
	here.Relay(source)
	for half := int64(backlog / 2); half <= backlog; half += backlog / 100 {
		until(t, "the backlog is copied", func() error { return here.Copied("talker", half) })
	}
	observed := prometheus.NewRegistry()
	l := newListener(t)
	l.start(connect(t, url, natsbus.Options{Shop: shop, Registerer: observed}), bus.FromStart, tally)
	l.settles(1)
	last := babble(source, backlog/10) // while it is far behind
	l.settles(last)
	l.tallied(last)
	for _, way := range []string{"stored", "asked"} {
		if is(observed, "souk_bus_feed_"+way+"_total", 0) == nil {
			t.Errorf("no event was %s", way)
		}
	}
}
