package bus_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

// BenchmarkConsume is what one event costs from the log to its effect, when the consumer is behind.
func BenchmarkConsume(b *testing.B) {
	ctx := context.Background()
	store, err := sqlstoretest.Open(ctx, filepath.Join(b.TempDir(), "room.db"), sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema(), bus.Schema()}})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	log, err := eventlog.New(store)
	if err != nil {
		b.Fatal(err)
	}
	events := make([]eventlog.Event, 0, 1000)
	for n := 0; n < b.N; n++ {
		events = append(events, eventlog.Event{Type: bustest.Type, Schema: 1, Data: make([]byte, 200), Meta: eventlog.Meta{Time: time.Now()}})
		if len(events) == cap(events) || n == b.N-1 {
			if err := store.Update(ctx, func(tx sqlstore.Tx) error {
				_, err := log.Append(tx, "a", eventlog.Any, events...)
				return err
			}); err != nil {
				b.Fatal(err)
			}
			events = events[:0]
		}
	}
	bs := bus.New(bus.Options{})
	bs.Publish(bus.FeedOf("talker", log, nil))
	if err := bs.Subscribe(bus.Consumer{Name: "listener", Source: "talker", Store: store, Handle: map[string]bus.Handler{
		bustest.Type: func(sqlstore.Tx, bus.Event) error { return nil },
	}}); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	b.ResetTimer()
	b.ReportAllocs()
	go func() { ended <- bs.Run(ctx) }()
	if err := bs.WaitFor(ctx, "listener", "talker", int64(b.N)); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	bs.Close()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
