package storeredis_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/rueidis"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
	"github.com/seed-21071466/souk/services/carts/storeredis"
)

// patience bounds what must come in the end; the bounds of the store are far below it.
const patience = 20 * time.Second

var ctx = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, s *storeredis.Store, id string, lines ...cart.Line) {
	t.Helper()
	must(t, s.Create(ctx, cart.Cart{ID: id, Version: 1, Lines: lines, ExpiresAt: time.Now().Add(time.Hour)}))
}

func put(ctx context.Context, s *storeredis.Store, id string, quantity int32) error {
	_, err := s.Change(ctx, id, func(c *cart.Cart) error {
		c.Version++
		return c.Put(cart.Line{SKU: "A", Quantity: quantity})
	})
	return err
}

// soon tries until it succeeds.
func soon(t *testing.T, try func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func TestWhatWasAcknowledgedOutlivesAKill(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{})
	s := open(t, server.URL(), "shop", clock.System{})
	defer func() { _ = s.Close() }()
	create(t, s, "crt_1")
	for round := range int32(3) {
		must(t, put(ctx, s, "crt_1", round+1))
		must(t, server.Kill())
		if err := put(ctx, s, "crt_1", 999); !problem.Is(err, "storage_unavailable") {
			t.Fatalf("while it is dead a change is %v, want storage_unavailable", err)
		}
		must(t, server.Start(ctx))
		soon(t, func() error { return s.Ready(ctx) })
		c, err := s.Load(ctx, "crt_1")
		must(t, err)
		if c.Lines[0].Quantity != round+1 {
			t.Fatalf("round %d: %d pieces, want what was acknowledged", round, c.Lines[0].Quantity)
		}
	}
}

// A call under way when the server dies is told so, or was done; it is never both.
func TestAKillUnderLoadLosesNoAcknowledgedChange(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{})
	s := open(t, server.URL(), "shop", clock.System{})
	defer func() { _ = s.Close() }()
	const shoppers = 16
	for i := range shoppers {
		create(t, s, fmt.Sprint("crt_", i))
	}
	acknowledged := make([]int32, shoppers)
	tried := make([]int32, shoppers)
	end := make(chan struct{})
	var all sync.WaitGroup
	for i := range shoppers {
		all.Go(func() {
			for n := int32(1); ; n++ {
				select {
				case <-end:
					return
				default:
				}
				tried[i] = n
				if err := put(ctx, s, fmt.Sprint("crt_", i), n); err == nil {
					acknowledged[i] = n
				} else if !problem.Is(err, "storage_unavailable") {
					t.Errorf("it is %v, want storage_unavailable", err)
				}
			}
		})
	}
	for range 3 {
		time.Sleep(50 * time.Millisecond)
		must(t, server.Kill())
		must(t, server.Start(ctx))
		soon(t, func() error { return s.Ready(ctx) })
	}
	close(end)
	all.Wait()
	for i := range shoppers {
		c, err := s.Load(ctx, fmt.Sprint("crt_", i))
		must(t, err)
		if got := c.Lines[0].Quantity; got < acknowledged[i] || got > tried[i] {
			t.Errorf("shopper %d was told of %d pieces, asked for %d, and has %d", i, acknowledged[i], tried[i], got)
		}
	}
}

func TestAHangingServerIsToldOfInTime(t *testing.T) {
	server, registry := enginetest.Redis(t, engine.RedisOptions{}), prometheus.NewRegistry()
	s, err := storeredis.Open(ctx, server.URL(), storeredis.Options{Shop: "shop", Clock: clock.System{}, Log: quiet, Registerer: registry})
	must(t, err)
	defer func() { _ = s.Close() }()
	create(t, s, "crt_1")
	must(t, server.Pause())
	began := time.Now()
	var all sync.WaitGroup
	for i := range 600 { // more than may be under way at once
		all.Go(func() {
			calls := []func() error{
				func() error { _, err := s.Load(ctx, "crt_1"); return err },
				func() error { return put(ctx, s, "crt_1", 1) },
				func() error { return s.Ready(ctx) },
			}
			if err := calls[i%3](); !problem.Is(err, "storage_unavailable") && !problem.Is(err, "cart_busy") || problem.Of(err).RetryAfter == 0 {
				t.Errorf("it is %v, want that the caller may try again", err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > patience {
		t.Errorf("it took %v", took)
	}
	gone, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := s.Load(gone, "crt_1"); problem.Of(err) != nil || gone.Err() == nil {
		t.Errorf("a caller who has left hears %v", err)
	}
	must(t, server.Resume())
	soon(t, func() error { return s.Ready(ctx) })
	soon(t, func() error { return put(ctx, s, "crt_1", 7) })
	n, err := testutil.GatherAndCount(registry, "souk_carts_redis_failures_total", "souk_carts_redis_seconds", "souk_carts_redis_in_flight")
	if err != nil || n < 7 {
		t.Errorf("%d series of metrics, %v", n, err)
	}
}

// follow sets the consumer of orders to work; each order bought two of A.
func follow(t *testing.T, s *storeredis.Store, source *bustest.Source) *bus.Bus {
	t.Helper()
	b := bus.New(bus.Options{})
	b.Publish(source)
	must(t, b.Subscribe(s.Follow(bus.Consumer{Name: "carts.orders", Source: "orders"}, map[string]app.Hear{
		bustest.Type: func(ev bus.Event) (app.Bought, error) {
			return app.Bought{CartID: ev.Subject, OrderID: fmt.Sprint("ord_", ev.Position), Place: ev.Position, Pieces: []cart.Piece{{SKU: "A", Quantity: 2}}}, nil
		},
	})))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		b.Close()
		must(t, <-ended)
	})
	return b
}

// The server goes back to an earlier moment, as one does that is restored, or whose replica takes over: changes of carts
// are lost, and what was ordered meanwhile is taken out again, each order once, though nothing new is said.
func TestAServerThatForgetsIsToldAgainWhatWasOrdered(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{})
	s := open(t, server.URL(), "shop", clock.System{})
	defer func() { _ = s.Close() }()
	source := bustest.NewSource("orders")
	create(t, s, "crt_1", cart.Line{SKU: "A", Quantity: 9})
	b := follow(t, s, source)
	heard := func(position int64) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		must(t, b.WaitFor(ctx, "carts.orders", "orders", position))
	}
	heard(source.Say("crt_1"))
	before := filepath.Join(t.TempDir(), "before")
	must(t, server.CopyFiles(before))
	heard(source.Say("crt_1"))
	heard(source.Say("crt_1"))
	must(t, put(ctx, s, "crt_1", 5)) // this is lost

	must(t, server.Kill())
	must(t, server.Restore(before))
	must(t, server.Start(ctx))
	soon(t, func() error {
		c, err := s.Load(ctx, "crt_1")
		if err == nil && (c.LastOrderID != "ord_3" || c.Lines[0].Quantity != 9-3*2) {
			err = fmt.Errorf("the cart has %+v after %s, want what three orders have left", c.Lines, c.LastOrderID)
		}
		return err
	})
}

// Whatever Redis has of the mark, an order that was taken out stays taken out once.
func TestALostMarkTakesNothingOutTwice(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{})
	s := open(t, server.URL(), "shop", clock.System{})
	defer func() { _ = s.Close() }()
	source := bustest.NewSource("orders")
	create(t, s, "crt_1", cart.Line{SKU: "A", Quantity: 9})
	b := follow(t, s, source)
	for range 3 {
		source.Say("crt_1")
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	must(t, b.WaitFor(wait, "carts.orders", "orders", 3))
	admin := dial(t, server)
	must(t, admin.Do(ctx, admin.B().Del().Key("souk:{shop.carts}:carts.orders:mark").Build()).Error())
	source.Say("crt_other")
	soon(t, func() error {
		low, err := admin.Do(ctx, admin.B().Hget().Key("souk:{shop.carts}:carts.orders:mark").Field("low").Build()).AsInt64()
		if err == nil && low != 4 {
			err = fmt.Errorf("the mark is at %d, want 4", low)
		}
		return err
	})
	c, err := s.Load(ctx, "crt_1")
	if must(t, err); c.Lines[0].Quantity != 3 || c.Version != 4 {
		t.Errorf("the cart is %+v", c)
	}
}

// dial asks a server past the store.
func dial(t *testing.T, server *engine.RedisServer) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr()}, ForceSingleClient: true, DisableCache: true})
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestRedisEndsCartsByItself(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{})
	s := open(t, server.URL(), "shop", clock.System{})
	defer func() { _ = s.Close() }()
	admin := dial(t, server)
	must(t, s.Create(ctx, cart.Cart{ID: "crt_short", Version: 1, ExpiresAt: time.Now().Add(100 * time.Millisecond)}))
	create(t, s, "crt_1", cart.Line{SKU: "A", Quantity: 9})
	source := bustest.NewSource("orders")
	heard := follow(t, s, source)
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	must(t, heard.WaitFor(wait, "carts.orders", "orders", source.Say("crt_1")))
	left, err := admin.Do(ctx, admin.B().Pttl().Key("souk:{shop.carts}:cart:crt_1").Build()).AsInt64()
	if must(t, err); left <= 0 || left > time.Hour.Milliseconds() {
		t.Errorf("a cart that was ordered from has %d ms left", left)
	}
	soon(t, func() error {
		n, err := admin.Do(ctx, admin.B().Exists().Key("souk:{shop.carts}:cart:crt_short").Build()).AsInt64()
		if err == nil && n != 0 {
			err = fmt.Errorf("the short cart is still there")
		}
		return err
	})
}
