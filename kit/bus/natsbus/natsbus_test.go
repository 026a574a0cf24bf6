package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// TestMain is also the program of the servers that tests kill.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	switch err := engine.ServeNATS(ctx); {
	case err == nil:
		os.Exit(0)
	case !errors.Is(err, engine.ErrNoOrder):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stop()
	if order := os.Getenv(speakerEnv); order != "" {
		fmt.Fprintln(os.Stderr, speak(order))
		os.Exit(1)
	}
	// The client's own listener is left behind when a connection is torn down in the moment of its first publication.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"))
}

// patience bounds every wait of these tests; none of them measures time.
const patience = 60 * time.Second

// shops counts the shops, so that each test has streams of its own.
var shops atomic.Int64

func newShop() string { return fmt.Sprint("shop", shops.Add(1)) }

func embedded(t testing.TB) string {
	t.Helper()
	s, err := engine.EmbedNATS(t.TempDir(), engine.NATSOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.URL
}

func connect(t testing.TB, url string, o natsbus.Options) *natsbus.Broker {
	t.Helper()
	if testing.Verbose() && o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	b, err := natsbus.Connect(context.Background(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// over delivers over the broker at url: the source's process relays, the
// consumer's has its feed. Both outlive the consumer's restarts.
func over(url string, o natsbus.Options, wrap func(bus.Feed) bus.Feed) bustest.Deliver {
	var source bus.Feed
	var feed bus.Feed
	return func(t *testing.T, said bus.Feed) bus.Feed {
		if said != source {
			source, o.Shop = said, newShop()
			connect(t, url, o).Relay(said)
			feed = connect(t, url, o).Feed(said.Source())
		}
		return wrap(feed)
	}
}

func asItIs(f bus.Feed) bus.Feed { return f }

func TestJetStream(t *testing.T) {
	bustest.Run(t, over(embedded(t), natsbus.Options{}, asItIs))
}

func TestBadDelivery(t *testing.T) {
	url := embedded(t)
	for seed := range uint64(3) {
		bustest.Run(t, over(url, natsbus.Options{}, func(f bus.Feed) bus.Feed {
			return faultbus.Wrap(f, faultbus.Options{Seed: seed})
		}))
	}
}

// What a stream does not keep comes from the source's own process.
func TestAStreamThatKeepsNothing(t *testing.T) {
	bustest.Run(t, over(embedded(t), natsbus.Options{MaxBytes: 1, Backfill: 1}, asItIs))
}

func TestCluster(t *testing.T) {
	servers, err := engine.NATSCluster(t.Context(), t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, s := range servers {
		t.Cleanup(s.Close)
		urls = append(urls, s.URL)
	}
	bustest.Run(t, over(strings.Join(urls, ","), natsbus.Options{Replicas: 3}, asItIs))
}

// Two processes: one has the room that speaks, the other one that listens.
func Example() {
	dir, err := os.MkdirTemp("", "natsbus")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server, err := engine.EmbedNATS(dir, engine.NATSOptions{})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()
	join := func() *natsbus.Broker {
		broker, err := natsbus.Connect(ctx, server.URL, natsbus.Options{Shop: "library"})
		if err != nil {
			panic(err)
		}
		return broker
	}
	here, there := join(), join()
	defer here.Close()
	defer there.Close()

	loans := bustest.NewSource("loans")
	speaking := bus.New(bus.Options{Relay: here.Relay})
	speaking.Publish(loans)
	loans.Say("book_1")

	listening := bus.New(bus.Options{Remote: there.Feed})
	store, err := sqlstore.Open(ctx, filepath.Join(dir, "members.db"), sqlstore.Options{Schemas: []sqlstore.Schema{bus.Schema()}})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	err = listening.Subscribe(bus.Consumer{
		Name: "members.loans", Source: "loans", Store: store,
		Handle: map[string]bus.Handler{bustest.Type: func(_ sqlstore.Tx, ev bus.Event) error {
			fmt.Println(ev.ID, ev.Subject)
			return nil
		}},
	})
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- listening.Run(ctx) }()
	fmt.Println(listening.CaughtUp(ctx, "members.loans"))
	listening.Close()
	fmt.Println(<-ended)
	// Output:
	// loans/1 book_1
	// <nil>
	// <nil>
}
