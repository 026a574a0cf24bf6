package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/cart"
)

// consumerName follows the source in these tests.
const consumerName = "carts.orders"

// hear reads a test's events: "crt_1" bought two of A, and what is unreadable is so while broken says it.
func hear(broken *bool) map[string]app.Hear {
	return map[string]app.Hear{bustest.Type: func(ev bus.Event) (app.Bought, error) {
		if *broken && ev.Subject == "crt_bad" {
			return app.Bought{}, errors.New("it cannot be read")
		}
		return app.Bought{
			CartID: ev.Subject, OrderID: fmt.Sprint("ord_", ev.Position), Place: ev.Position, Pieces: []cart.Piece{{SKU: "A", Quantity: 2}},
		}, nil
	}}
}

// follow sets the store's consumer to work; the end of it is the test's.
func (s *shop) follow(store app.Store, broken *bool) (b *bus.Bus, end func()) {
	s.Helper()
	b = bus.New(bus.Options{})
	b.Publish(s.said)
	s.must(b.Subscribe(store.Follow(bus.Consumer{
		Name: consumerName, Source: "orders", Attempts: 2, BackoffMin: time.Millisecond, BackoffMax: time.Millisecond,
	}, hear(broken))))
	ended := make(chan error, 1)
	go func() { ended <- b.Run(context.Background()) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			b.Close()
			if err := <-ended; err != nil {
				s.Error(err)
			}
		})
	}
	s.Cleanup(end)
	return b, end
}

func (s *shop) heard(b *bus.Bus) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.must(b.WaitFor(ctx, consumerName, "orders", s.said.Head()))
}

func takesOutOnce(s *shop) {
	var fine bool
	s.create("crt_1", cart.Line{SKU: "A", Quantity: 5}, cart.Line{SKU: "B", Quantity: 1})
	before := s.load("crt_1")
	b, end := s.follow(s.store, &fine)
	s.said.Record("crt_1", "souk.test.v1.Unheard")
	s.said.Say("crt_1")
	s.said.Say("crt_ended")
	s.heard(b)
	end()
	c := s.load("crt_1")
	if c.Lines[0].Quantity != 3 || len(c.Lines) != 2 || c.LastOrderID != "ord_2" || c.Version != 2 || !c.ExpiresAt.Equal(before.ExpiresAt) {
		s.Errorf("after one order: %+v", c)
	}
	s.said.Say("crt_1")
	b, _ = s.follow(s.again(), &fine) // as another process, after the first
	s.heard(b)
	standings, err := b.Standings(s.ctx, consumerName)
	s.must(err)
	if standings[0].Position != 4 || standings[0].Letters != 0 {
		s.Errorf("it stands at %+v", standings[0])
	}
	fresh, err := s.again().Load(s.ctx, "crt_1")
	s.must(err)
	if fresh.Lines[0].Quantity != 1 || fresh.LastOrderID != "ord_4" || fresh.Version != 3 {
		s.Errorf("after two orders: %+v", fresh)
	}
}

func takesOutAmongChanges(s *shop) {
	const rounds = 30
	var fine bool
	s.create("crt_1", cart.Line{SKU: "A", Quantity: 1000})
	b, _ := s.follow(s.store, &fine)
	for i := range rounds {
		s.said.Say("crt_1")
		s.must(s.put(s.store, "crt_1", "B", int32(i+1)))
	}
	s.heard(b)
	c := s.load("crt_1")
	if c.Lines[0].Quantity != 1000-2*rounds || c.Lines[1].Quantity != rounds || c.Version != 1+2*rounds {
		s.Errorf("after %d orders among %d changes: %+v", rounds, rounds, c)
	}
}

func buries(s *shop) {
	broken := true
	s.create("crt_bad", cart.Line{SKU: "A", Quantity: 9})
	s.create("crt_1", cart.Line{SKU: "A", Quantity: 9})
	for range 3 {
		s.said.Say("crt_bad")
		s.said.Say("crt_1")
	}
	b, _ := s.follow(s.store, &broken)
	s.heard(b)
	if good, bad := s.load("crt_1"), s.load("crt_bad"); good.Lines[0].Quantity != 3 || bad.Lines[0].Quantity != 9 {
		s.Errorf("the good cart has %d, the bad one %d", good.Lines[0].Quantity, bad.Lines[0].Quantity)
	}
	by := bus.By{Actor: "staff:key", Reason: "counted by hand"}
	if got, err := b.Redrive(s.ctx, consumerName, by); err != nil || got.Failed != consumerName+":1" || got.Left != 3 {
		s.Errorf("redriving what still fails is %+v, %v", got, err)
	}
	s.must(b.Skip(s.ctx, consumerName+":1", by))
	broken = false
	if got, err := b.Redrive(s.ctx, consumerName, by); err != nil || got.Handled != 2 {
		s.Errorf("redriving the others is %+v, %v", got, err)
	}
	if bad := s.load("crt_bad"); bad.Lines[0].Quantity != 5 || bad.LastOrderID != "ord_5" {
		s.Errorf("the bad cart is %+v", bad)
	}
}

func followsTogether(s *shop) {
	if !s.can.Share {
		s.Skip("this store has its data to itself")
	}
	var broken [2]bool
	broken[0], broken[1] = true, true
	s.create("crt_bad", cart.Line{SKU: "A", Quantity: 99})
	s.create("crt_1", cart.Line{SKU: "A", Quantity: 99})
	one, end := s.follow(s.store, &broken[0])
	two, endTwo := s.follow(s.again(), &broken[1])
	for range 10 {
		s.said.Say("crt_bad")
		s.said.Say("crt_1")
	}
	s.heard(one)
	s.heard(two)
	end()
	endTwo()
	if c := s.load("crt_1"); c.Lines[0].Quantity != 99-20 || c.Version != 11 {
		s.Errorf("the good cart is %+v", c)
	}

	broken[0], broken[1] = false, false
	one, _ = s.follow(s.again(), &broken[0])
	two, _ = s.follow(s.again(), &broken[1])
	if got, err := two.Redrive(s.ctx, consumerName, bus.By{Actor: "staff:key"}); err != nil || got.Handled != 10 {
		s.Errorf("redriven %+v, %v", got, err)
	}
	s.said.Say("crt_bad") // by whomever it is heard, its key is free
	s.heard(one)
	s.heard(two)
	if c := s.load("crt_bad"); c.Lines[0].Quantity != 99-22 || c.LastOrderID != "ord_21" {
		s.Errorf("the bad cart is %+v", c)
	}
}
