package bus_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

func openStore(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := sqlstoretest.Open(context.Background(), filepath.Join(t.TempDir(), "room.db"),
		sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema(), bus.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// run sets a bus to work and ends it with the test.
func run(t *testing.T, b *bus.Bus) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- b.Run(context.Background()) }()
	t.Cleanup(func() {
		b.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func wait(t *testing.T, b *bus.Bus, consumer string, position int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.WaitFor(ctx, consumer, "talker", position); err != nil {
		t.Fatal(err)
	}
}

func listener(store *sqlstore.Store, handle bus.Handler) bus.Consumer {
	return bus.Consumer{
		Name: "listener", Source: "talker", Store: store, Attempts: 2, BackoffMin: time.Millisecond, BackoffMax: time.Millisecond,
		Handle: map[string]bus.Handler{bustest.Type: handle},
	}
}

func TestAConsumerStandsStillWhenThereIsNoRoomForLetters(t *testing.T) {
	source, b := bustest.NewSource("talker"), bus.New(bus.Options{})
	b.Publish(source)
	var broken atomic.Bool
	broken.Store(true)
	consumer := listener(openStore(t), func(sqlstore.Tx, bus.Event) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	})
	consumer.LettersMax = 2
	if err := b.Subscribe(consumer); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		source.Say("a")
	}
	run(t, b)
	wait(t, b, "listener", 2)
	time.Sleep(20 * time.Millisecond)
	if position, _ := b.Position("listener"); position != 2 {
		t.Fatalf("with two letters and room for two it came to %d, want 2", position)
	}
	broken.Store(false)
	if _, err := b.Redrive(context.Background(), "listener", bus.By{Actor: "staff:key"}); err != nil {
		t.Fatal(err)
	}
	wait(t, b, "listener", 4)
}

func TestAWrongWiringIsRefused(t *testing.T) {
	store, source := openStore(t), bustest.NewSource("talker")
	nothing := func(sqlstore.Tx, bus.Event) error { return nil }
	t.Run("a name in use", func(t *testing.T) {
		b := bus.New(bus.Options{})
		if err := b.Subscribe(listener(store, nothing)); err != nil {
			t.Fatal(err)
		}
		if err := b.Subscribe(listener(store, nothing)); err == nil {
			t.Error("the second consumer of a name was accepted")
		}
	})
	t.Run("a source that nobody publishes", func(t *testing.T) {
		b := bus.New(bus.Options{})
		if err := b.Subscribe(listener(store, nothing)); err != nil {
			t.Fatal(err)
		}
		if err := b.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "nobody publishes") {
			t.Errorf("run is %v, want a refusal", err)
		}
	})
	t.Run("a source restored from an older backup", func(t *testing.T) {
		b := bus.New(bus.Options{})
		b.Publish(source)
		source.Say("a")
		if err := b.Subscribe(listener(store, nothing)); err != nil {
			t.Fatal(err)
		}
		run(t, b)
		wait(t, b, "listener", 1)
		younger := bus.New(bus.Options{})
		younger.Publish(bustest.NewSource("talker"))
		if err := younger.Subscribe(listener(store, nothing)); err == nil || !strings.Contains(err.Error(), "restore both") {
			t.Errorf("subscribe is %v, want the remedy", err)
		}
	})
}

// counting counts how often a feed is read.
type counting struct {
	bus.Feed
	reads atomic.Int64
}

func (c *counting) After(ctx context.Context, position int64, limit int) ([]bus.Event, error) {
	c.reads.Add(1)
	return c.Feed.After(ctx, position, limit)
}

func TestAnIdleConsumerReadsNothing(t *testing.T) {
	talker, b := bustest.NewSource("talker"), bus.New(bus.Options{})
	source := &counting{Feed: talker}
	b.Publish(source)
	if err := b.Subscribe(listener(openStore(t), func(sqlstore.Tx, bus.Event) error { return nil })); err != nil {
		t.Fatal(err)
	}
	run(t, b)
	wait(t, b, "listener", talker.Say("a"))
	before := source.reads.Load()
	time.Sleep(100 * time.Millisecond)
	if after := source.reads.Load(); after != before {
		t.Errorf("it read %d times while nothing was said", after-before)
	}
}

func TestALogIsAFeed(t *testing.T) {
	ctx, store := context.Background(), openStore(t)
	log, err := eventlog.New(store)
	if err != nil {
		t.Fatal(err)
	}
	feed := bus.FeedOf("talker", log, func(r eventlog.Recorded) (string, []byte, error) {
		if r.Type == "Private" {
			return "", nil, nil
		}
		return bustest.Type, append([]byte("public "), r.Data...), nil
	})
	var heard []string
	b := bus.New(bus.Options{BatchMax: 2})
	b.Publish(feed)
	consumer := listener(store, func(_ sqlstore.Tx, event bus.Event) error {
		heard = append(heard, event.ID+" "+event.Subject+" "+string(event.Data))
		return nil
	})
	if err := b.Subscribe(consumer); err != nil {
		t.Fatal(err)
	}
	run(t, b)
	for _, typ := range []string{"Said", "Private", "Said"} {
		if err := store.Update(ctx, func(tx sqlstore.Tx) error {
			_, err := log.Append(tx, "a", eventlog.Any, eventlog.Event{
				Type: typ, Schema: 1, Data: []byte("word"), Meta: eventlog.Meta{Time: time.Now().UTC()},
			})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, b, "listener", 3)
	if got := strings.Join(heard, ", "); got != "talker/1 a public word, talker/3 a public word" {
		t.Errorf("heard %q", got)
	}
}

func TestOperatorsSeeLettersAndFigures(t *testing.T) {
	source, registry := bustest.NewSource("talker"), prometheus.NewRegistry()
	b := bus.New(bus.Options{Registerer: registry})
	b.Publish(source)
	if err := b.Subscribe(listener(openStore(t), func(_ sqlstore.Tx, event bus.Event) error {
		if event.Subject == "bad" {
			return errors.New("it is bad")
		}
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	source.Say("good")
	source.Say("bad")
	source.Say("bad")
	run(t, b)
	wait(t, b, "listener", 3)
	want := `
# HELP souk_bus_buried_total Events that failed for good.
# TYPE souk_bus_buried_total counter
souk_bus_buried_total{consumer="listener"} 1
# HELP souk_bus_handled_total Events whose effect is done.
# TYPE souk_bus_handled_total counter
souk_bus_handled_total{consumer="listener"} 1
# HELP souk_bus_lag_events Records of the source that are not settled.
# TYPE souk_bus_lag_events gauge
souk_bus_lag_events{consumer="listener"} 0
# HELP souk_bus_letters Dead letters, and those that wait behind them.
# TYPE souk_bus_letters gauge
souk_bus_letters{consumer="listener"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"souk_bus_buried_total", "souk_bus_handled_total", "souk_bus_lag_events", "souk_bus_letters"); err != nil {
		t.Error(err)
	}

	handler := b.LettersHandler(func(r *http.Request) (string, bool) {
		return "staff:key", r.Header.Get("Authorization") == "Bearer staff"
	})
	for _, row := range []struct {
		name, method, target, token string
		status                      int
		holds                       string
	}{
		{"a guest sees nothing", "GET", "/", "", 403, `"staff_only"`},
		{"a guest skips nothing", "POST", "/listener:2/skip?reason=x", "", 403, `"staff_only"`},
		{"staff list the letters", "GET", "/?consumer=listener", "staff", 200, `"id":"listener:2"`},
		{"staff list from a position", "GET", "/?after=2", "staff", 200, `"id":"listener:3"`},
		{"a position that is none is refused", "GET", "/?after=x", "staff", 400, `"invalid_request"`},
		{"an unknown consumer is named", "GET", "/?consumer=nobody", "staff", 404, `"unknown_consumer"`},
		{"a redrive tells what failed again", "POST", "/listener/redrive", "staff", 200, `"failed":"listener:2"`},
		{"a skip needs a reason", "POST", "/listener:2/skip", "staff", 400, `reason`},
		{"a skip is done", "POST", "/listener:2/skip?reason=seen", "staff", 204, ``},
		{"a letter that is gone is not found", "POST", "/listener:2/redrive", "staff", 404, `"unknown_letter"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			request := httptest.NewRequest(row.method, row.target, nil)
			request.Header.Set("Authorization", "Bearer "+row.token)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != row.status || !strings.Contains(answer.Body.String(), row.holds) {
				t.Errorf("%d %s, want %d with %s", answer.Code, answer.Body, row.status, row.holds)
			}
		})
	}
}
