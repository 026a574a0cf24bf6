package bus_test

import (
	"testing"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func TestKeeperInSQL(t *testing.T) {
	bustest.RunKeeper(t, func(t *testing.T) bus.Keeper {
		keeper, err := bus.KeeperOf(bus.Consumer{
			Name: bustest.ConsumerName, Source: "talker", Store: openStore(t),
			Handle: map[string]bus.Handler{bustest.Type: func(sqlstore.Tx, bus.Event) error { return nil }},
		})
		if err != nil {
			t.Fatal(err)
		}
		return keeper
	})
}

func TestAConsumerHasOneStore(t *testing.T) {
	b, store := bus.New(bus.Options{}), openStore(t)
	keeper, err := bus.KeeperOf(bus.Consumer{Name: "a", Source: "talker", Store: store})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []bus.Consumer{{Name: "a", Source: "talker"}, {Name: "a", Source: "talker", Store: store, Keep: keeper}} {
		if err := b.Subscribe(c); err == nil {
			t.Errorf("a consumer with %v and %v was accepted", c.Store, c.Keep)
		}
	}
}
