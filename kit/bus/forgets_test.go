package bus_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// A store that a fail-over takes back to an earlier moment has lost the effects and the mark together.
func TestAConsumerWhoseStoreForgetsHearsAgain(t *testing.T) {
	source, store := bustest.NewSource("talker"), openStore(t)
	var handled atomic.Int64
	consumer := listener(store, func(sqlstore.Tx, bus.Event) error {
		handled.Add(1)
		return nil
	})
	consumer.LookAgain = 5 * time.Millisecond
	b := bus.New(bus.Options{})
	b.Publish(source)
	if err := b.Subscribe(consumer); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		source.Say("a")
	}
	run(t, b)
	wait(t, b, "listener", 3)
	if err := store.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := tx.Exec(`UPDATE bus_inbox SET low = 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); handled.Load() < 5; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("handled %d times, want 3 and the 2 that were forgotten", handled.Load())
		}
	}
	wait(t, b, "listener", source.Say("a"))
	if n := handled.Load(); n != 6 {
		t.Errorf("handled %d times, want 6", n)
	}
}
