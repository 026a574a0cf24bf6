package bus_test

import (
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func TestAttachRefusesAConsumerThatCannotFollow(t *testing.T) {
	store := openStore(t)
	consumer := listener(store, func(sqlstore.Tx, bus.Event) error { return nil })
	attach := func(said int) error {
		b, source := bus.New(bus.Options{}), bustest.NewSource("talker")
		for range said {
			source.Say("subject")
		}
		if err := b.Subscribe(consumer); err != nil {
			t.Fatal(err)
		}
		if err := b.Attach(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody publishes") {
			t.Fatalf("without its source: %v", err)
		}
		b.Publish(source)
		defer b.Close()
		err := b.Attach(t.Context())
		if err == nil {
			run(t, b)
			wait(t, b, "listener", int64(said))
		}
		return err
	}
	if err := attach(3); err != nil {
		t.Fatal(err)
	}
	if err := attach(2); err == nil || !strings.Contains(err.Error(), "ends at 2") {
		t.Errorf("a source that ends below what was handled is %v", err)
	}
}
