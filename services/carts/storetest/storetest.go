// Package storetest is the suite that every store of carts passes. It is the text of the
// port app.Store.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// Open opens a store on the data of this test; opened again it finds what was kept.
type Open func(t *testing.T, c clock.Clock) app.Store

// New gives a fresh place for data, and how to open it.
type New func(t *testing.T) Open

// Can is what a store declares of itself.
type Can struct {
	Share bool // several processes may work on the same data
}

// patience bounds how long a test waits for a consumer.
const patience = 30 * time.Second

// life is how long carts live here.
const life = time.Hour

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Run proves a store.
func Run(t *testing.T, fresh New, can Can) {
	for _, row := range []struct {
		name string
		test func(*shop)
	}{
		{"what is kept is read, also after it is opened again", keeps},
		{"a change is of the cart as it stands, and a refused one changes nothing", changes},
		{"changes of one cart at the same time lose nothing", losesNothing},
		{"changes by two processes lose nothing", losesNothingBetweenTwo},
		{"a cart ends unless it is changed", ends},
		{"a large cart is kept whole", keepsLarge},
		{"what was ordered is taken out once", takesOutOnce},
		{"carts are changed and ordered from at the same time", takesOutAmongChanges},
		{"an event that cannot be read is a letter, redriven or skipped", buries},
		{"two processes that follow take everything out once, and share their letters", followsTogether},
		{"a store that is ready says so", isReady},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := open(t, fresh(t))
			s.can = can
			row.test(s)
		})
	}
}

// shop is one store and a source of orders.
type shop struct {
	*testing.T
	ctx   context.Context
	store app.Store
	clock *clock.Fake
	again func() app.Store
	said  *bustest.Source
	can   Can
}

func open(t *testing.T, o Open) *shop {
	s := &shop{T: t, ctx: context.Background(), clock: clock.NewFake(noon), said: bustest.NewSource("orders")}
	s.again = func() app.Store {
		store := o(t, s.clock)
		t.Cleanup(func() { s.must(store.Close()) })
		return store
	}
	s.store = s.again()
	return s
}

func (s *shop) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *shop) create(id string, lines ...cart.Line) {
	s.Helper()
	s.must(s.store.Create(s.ctx, cart.Cart{
		ID: id, Version: 1, Channel: "web", Currency: "GBP", Lines: lines, Metadata: map[string]string{"gift": "yes – ☃"},
		ExpiresAt: s.clock.Now().Add(life),
	}))
}

func (s *shop) load(id string) cart.Cart {
	s.Helper()
	c, err := s.store.Load(s.ctx, id)
	s.must(err)
	return c
}

// put is a change as app makes it.
func (s *shop) put(store app.Store, id, sku string, quantity int32) error {
	_, err := store.Change(s.ctx, id, func(c *cart.Cart) error {
		c.Version++
		c.ExpiresAt = s.clock.Now().Add(life)
		return c.Put(cart.Line{SKU: sku, Quantity: quantity})
	})
	return err
}

func (s *shop) gone(id string) {
	s.Helper()
	if _, err := s.store.Load(s.ctx, id); !problem.Is(err, "cart_not_found") {
		s.Errorf("cart %s: %v, want that it is not found", id, err)
	}
	if err := s.put(s.store, id, "A", 1); !problem.Is(err, "cart_not_found") {
		s.Errorf("changing cart %s: %v, want that it is not found", id, err)
	}
}

func keeps(s *shop) {
	s.create("crt_1", cart.Line{SKU: "A", Quantity: 2, Title: "Thing \x00 “A”"})
	want := s.load("crt_1")
	if want.Lines[0].Quantity != 2 || !want.ExpiresAt.Equal(noon.Add(life)) || want.Metadata["gift"] != "yes – ☃" {
		s.Errorf("it is %+v", want)
	}
	got, err := s.again().Load(s.ctx, "crt_1")
	s.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		s.Error(diff)
	}
	s.gone("crt_2")
}

func changes(s *shop) {
	s.create("crt_1", cart.Line{SKU: "A", Quantity: 2})
	s.must(s.put(s.store, "crt_1", "B", 3))
	changed, err := s.store.Change(s.ctx, "crt_1", func(c *cart.Cart) error {
		c.Version++
		c.ShippingID = "standard"
		return nil
	})
	s.must(err)
	if diff := cmp.Diff(changed, s.load("crt_1")); diff != "" || changed.Version != 3 || len(changed.Lines) != 2 {
		s.Errorf("%+v, %s", changed, diff)
	}
	refusal := errors.New("no")
	if _, err := s.store.Change(s.ctx, "crt_1", func(c *cart.Cart) error {
		c.Lines, c.Version = nil, 99
		return refusal
	}); !errors.Is(err, refusal) {
		s.Errorf("the refusal came as %v", err)
	}
	if diff := cmp.Diff(changed, s.load("crt_1")); diff != "" {
		s.Errorf("the refused change: %s", diff)
	}
}

func losesNothing(s *shop) { s.race(s.store) }

func losesNothingBetweenTwo(s *shop) {
	if !s.can.Share {
		s.Skip("this store has its data to itself")
	}
	s.race(s.store, s.again())
}

// race adds 64 lines to one cart at the same time, through stores in turn.
func (s *shop) race(stores ...app.Store) {
	const writers = 64
	s.create("crt_1")
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			store := stores[i%len(stores)]
			for {
				err := s.put(store, "crt_1", fmt.Sprint("SKU-", i), int32(i+1))
				if problem.Is(err, "cart_busy") {
					continue // nothing was done, and the caller is told to try again
				}
				if err != nil {
					s.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	c, err := stores[len(stores)-1].Load(s.ctx, "crt_1")
	s.must(err)
	if len(c.Lines) != writers || c.Version != 1+writers {
		s.Errorf("of %d lines there are %d, in version %d", writers, len(c.Lines), c.Version)
	}
}

func ends(s *shop) {
	s.create("crt_idle")
	s.create("crt_used")
	s.clock.Advance(life * 2 / 3)
	s.must(s.put(s.store, "crt_used", "A", 1))
	s.clock.Advance(life / 3) // the life of the idle one is over, to the moment
	s.gone("crt_idle")
	if got := s.load("crt_used"); got.Lines[0].Quantity != 1 {
		s.Errorf("the used one is %+v", got)
	}
	if _, err := s.store.Sweep(s.ctx); err != nil {
		s.Error(err)
	}
	s.gone("crt_idle")
	s.load("crt_used")
}

func keepsLarge(s *shop) {
	lines := make([]cart.Line, cart.LinesMax)
	for i := range lines {
		lines[i] = cart.Line{SKU: fmt.Sprint("SKU-", i), Quantity: cart.QuantityMax, Title: fmt.Sprintf("%0200d", i)}
	}
	s.create("crt_1", lines...)
	if diff := cmp.Diff(lines, s.load("crt_1").Lines); diff != "" {
		s.Error(diff)
	}
}

func isReady(s *shop) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := s.store.Ready(ctx); err != nil {
		s.Error(err)
	}
}
