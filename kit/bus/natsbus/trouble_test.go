package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/engine"
)

func TestRelaysThatDieAtAnyPointAndMeetEachOther(t *testing.T) {
	url, shop, source := embedded(t), newShop(), bustest.NewSource("talker")
	source.Say("first")
	l := listen(t, connect(t, url, natsbus.Options{Shop: shop}), bus.FromStart)
	random := rand.New(rand.NewPCG(11, 1))
	for round := range 30 {
		first := connect(t, url, natsbus.Options{Shop: shop, Window: 1 + random.IntN(64)})
		first.Relay(source)
		second := connect(t, url, natsbus.Options{Shop: shop})
		if round%3 == 0 {
			second.Relay(source)
		}
		babble(source, 200)
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond) // somewhere in the middle
		first.Kill()
		babble(source, 20)
		second.Kill()
	}
	connect(t, url, natsbus.Options{Shop: shop}).Relay(source)
	l.settles(source.Head())
	l.wants(1, source.Head())
	copies(t, url, shop, source)
}

// trouble is a shop of two processes and a broker that can be killed.
type trouble struct {
	*listener
	server   *engine.NATSServer
	shop     string
	source   *bustest.Source
	here     *natsbus.Broker // where the source is
	there    *natsbus.Broker // where it is heard
	observed *prometheus.Registry
}

func inTrouble(t *testing.T, o engine.NATSOptions) *trouble {
	t.Helper()
	o.Program = []string{os.Args[0]}
	server, err := engine.NATS(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s := &trouble{server: server, shop: newShop(), source: bustest.NewSource("talker"), observed: prometheus.NewRegistry()}
	s.here = connect(t, server.URL(), natsbus.Options{Shop: s.shop, Registerer: s.observed})
	s.here.Relay(s.source)
	s.there = connect(t, server.URL(), natsbus.Options{Shop: s.shop})
	s.listener = listen(t, s.there, bus.FromStart)
	s.settles(babble(s.source, 200))
	copies(t, server.URL(), s.shop, s.source)
	return s
}

// back starts the broker again.
func (s *trouble) back() {
	s.t.Helper()
	if err := s.server.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// proves that all was heard and that the stream is a copy.
func (s *trouble) proves() {
	s.t.Helper()
	s.settles(babble(s.source, 50))
	s.wants(1, s.source.Head())
	copies(s.t, s.server.URL(), s.shop, s.source)
	until(s.t, "the broker is back for the source", s.here.Ready)
	until(s.t, "the broker is back for the listener", s.there.Ready)
}

func TestAnEventThatIsTooLargeForTheBrokerHoldsItsSourceUpVisibly(t *testing.T) {
	url, shop, source := embedded(t), newShop(), bustest.NewSource("talker")
	here := connect(t, url, natsbus.Options{Shop: shop})
	here.Relay(source)
	l := listen(t, connect(t, url, natsbus.Options{Shop: shop}), bus.FromStart)
	l.settles(babble(source, 5))
	source.Say(strings.Repeat("x", 2<<20))
	until(t, "the relay says why", func() error { return says(here.Ready(), "raise max_payload") })
	l.wants(1, 5)
}

// The figures are all told, and are what happened.
func TestFigures(t *testing.T) {
	url, shop, source := embedded(t), newShop(), bustest.NewSource("talker")
	here, there := prometheus.NewRegistry(), prometheus.NewRegistry()
	connect(t, url, natsbus.Options{Shop: shop, Registerer: here}).Relay(source)
	l := listen(t, connect(t, url, natsbus.Options{Shop: shop, Registerer: there}), bus.FromStart)
	l.settles(babble(source, 30))
	copies(t, url, shop, source)
	for _, row := range []struct {
		registry *prometheus.Registry
		name     string
		want     float64
	}{
		{here, "souk_bus_broker_connected", 1},
		{here, "souk_bus_broker_reconnects_total", 0},
		{here, "souk_bus_relay_published_total", 30},
		{here, "souk_bus_relay_lag_events", 0},
		{here, "souk_bus_relay_mismatches_total", 0},
		{here, "souk_bus_relay_replaced_total", 0},
		{there, "souk_bus_feed_head", 30},
		{l.registry, "souk_bus_lag_events", 0},
		{l.registry, "souk_bus_handled_total", 30},
	} {
		until(t, row.name+" is told", func() error { return is(row.registry, row.name, row.want) })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheBrokerIsKilledAndComesBack(t *testing.T) {
	for name, o := range map[string]engine.NATSOptions{"synced now and then": {}, "synced always": {SyncAlways: true}} {
		t.Run(name, func(t *testing.T) {
			s := inTrouble(t, o)
			for range 5 {
				until(t, "the broker is there", s.here.Ready)
				babble(s.source, 100) // somewhere among them comes the kill
				must(t, s.server.Kill())
				babble(s.source, 20) // the room goes on
				s.back()
			}
			s.proves()
		})
	}
}

func TestTheBrokerIsAwayAndItShows(t *testing.T) {
	s := inTrouble(t, engine.NATSOptions{})
	must(t, s.server.Kill())
	babble(s.source, 100)
	until(t, "the source's process says that the broker is away", func() error {
		return says(s.here.Ready(), "is away")
	})
	until(t, "the listener's process says so too", func() error { return says(s.there.Ready(), "is away") })
	until(t, "the lag shows", func() error { return is(s.observed, "souk_bus_relay_lag_events", 100) })
	if err := s.here.Ready(); strings.Contains(err.Error(), "nats://127.0.0.1") == false {
		t.Errorf("not ready without saying which broker: %v", err)
	}
	s.back()
	s.proves()
	until(t, "the lag is gone", func() error { return is(s.observed, "souk_bus_relay_lag_events", 0) })
}

func TestTheBrokerComesAfterTheRooms(t *testing.T) {
	s := inTrouble(t, engine.NATSOptions{})
	must(t, s.server.Kill())
	shop, source := newShop(), bustest.NewSource("talker")
	babble(source, 20)
	here := connect(t, s.server.URL(), natsbus.Options{Shop: shop})
	here.Relay(source)
	l := listen(t, connect(t, s.server.URL(), natsbus.Options{Shop: shop}), bus.FromStart)
	if err := says(here.Ready(), "is away"); err != nil {
		t.Error(err)
	}
	s.back()
	l.settles(20)
	l.wants(1, 20)
	until(t, "the broker is there", here.Ready)
}

func TestTheBrokerLosesAll(t *testing.T) {
	s := inTrouble(t, engine.NATSOptions{})
	for range 3 {
		must(t, s.server.Kill())
		must(t, s.server.Wipe())
		babble(s.source, 100)
		s.back()
		s.settles(s.source.Head())
	}
	s.proves()
}

// The stream is taken away under a running relay that has nothing to say.
func TestTheStreamIsRemovedByHand(t *testing.T) {
	s := inTrouble(t, engine.NATSOptions{})
	removeStream(t, s.server.URL(), natsbus.Stream(s.shop, "talker"))
	copies(t, s.server.URL(), s.shop, s.source)
	s.proves()
}

// A foreign message takes the sequence of a record to come.
func TestSomebodyElsePublishesToTheStream(t *testing.T) {
	s := inTrouble(t, engine.NATSOptions{})
	publish(t, s.server.URL(), "souk."+s.shop+".talker.events.forged", "nonsense")
	s.settles(babble(s.source, 50))
	until(t, "the stream is made anew", func() error { return is(s.observed, "souk_bus_relay_replaced_total", 1) })
	s.proves()
}

func TestTheBrokerFreezes(t *testing.T) {
	s := inTrouble(t, engine.NATSOptions{})
	must(t, s.server.Pause())
	babble(s.source, 100)
	time.Sleep(100 * time.Millisecond) // so that publications are on their way into a server that does not read
	must(t, s.server.Resume())
	s.proves()
}

func says(err error, want string) error {
	if err == nil || !strings.Contains(err.Error(), want) {
		return fmt.Errorf("it says %v, want something with %q", err, want)
	}
	return nil
}

// is fails unless the figure, summed over its labels, is that.
func is(registry *prometheus.Registry, name string, want float64) error {
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		sum := 0.0
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		if sum != want {
			return fmt.Errorf("%s is %v, want %v", name, sum, want)
		}
		return nil
	}
	return errors.New("there is no " + name)
}

func removeStream(t *testing.T, url, stream string) {
	t.Helper()
	conn, err := nats.Connect(url)
	must(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(t, err)
	must(t, js.DeleteStream(context.Background(), stream))
}

func publish(t *testing.T, url, subject, text string) {
	t.Helper()
	conn, err := nats.Connect(url)
	must(t, err)
	defer conn.Close()
	must(t, conn.Publish(subject, []byte(text)))
	must(t, conn.Flush())
}
