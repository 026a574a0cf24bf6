package natsbus_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
)

// plain is nats.go without any of this package, with a stream of its own.
type plain struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	shop   string
}

func newPlain(b *testing.B, url string) *plain {
	b.Helper()
	conn, err := nats.Connect(url)
	must(b, err)
	b.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(natsbus.WindowDefault))
	must(b, err)
	p := &plain{js: js, shop: newShop()}
	p.stream, err = js.CreateStream(b.Context(), jetstream.StreamConfig{
		Name: natsbus.Stream(p.shop, "talker"), Subjects: []string{"souk." + p.shop + ".talker.events.>"},
	})
	must(b, err)
	return p
}

// message is the same message as the relay publishes.
func (p *plain) message(ev bus.Event) *nats.Msg {
	return natsbus.Encode(&ev, "souk."+p.shop+".talker.events.said")
}

func records(b *testing.B, count int) (*bustest.Source, []bus.Event) {
	b.Helper()
	source := bustest.NewSource("talker")
	for i := range count {
		source.Say("a subject of an event, which may be an order, number " + strconv.Itoa(i%100))
	}
	events, err := source.After(b.Context(), 0, count)
	must(b, err)
	return source, events
}

// BenchmarkThroughput is one event an op, from the log in memory to the
// acknowledgement of the broker, for a relay that is behind.
func BenchmarkThroughput(b *testing.B) {
	url := embedded(b)
	b.Run("relay", func(b *testing.B) {
		source, _ := records(b, b.N)
		shop := newShop()
		broker := connect(b, url, natsbus.Options{Shop: shop, Backfill: 1 << 40})
		b.ResetTimer()
		broker.Relay(source)
		until(b, "all is copied", func() error { return broker.Copied("talker", int64(b.N)) })
	})
	b.Run("nats.go", func(b *testing.B) {
		_, events := records(b, b.N)
		p := newPlain(b, url)
		b.ResetTimer()
		for i := range events {
			if _, err := p.js.PublishMsgAsync(p.message(events[i]), jetstream.WithStallWait(patience)); err != nil {
				b.Fatal(err)
			}
		}
		select {
		case <-p.js.PublishAsyncComplete():
		case <-time.After(patience):
			b.Fatal("not all is acknowledged")
		}
	})
}

// BenchmarkLatency is one event an op, from the commit to the other process's
// hands, one after the other.
func BenchmarkLatency(b *testing.B) {
	url := embedded(b)
	b.Run("relay and feed", func(b *testing.B) {
		source, shop := bustest.NewSource("talker"), newShop()
		connect(b, url, natsbus.Options{Shop: shop}).Relay(source)
		feed := connect(b, url, natsbus.Options{Shop: shop}).Feed("talker")
		source.Say("first")
		hear(b, feed, 1)
		b.ResetTimer()
		for range b.N {
			hear(b, feed, source.Say("subject"))
		}
	})
	b.Run("nats.go", func(b *testing.B) {
		p := newPlain(b, url)
		consumer, err := p.stream.OrderedConsumer(b.Context(), jetstream.OrderedConsumerConfig{})
		must(b, err)
		messages, err := consumer.Messages()
		must(b, err)
		defer messages.Stop()
		_, events := records(b, 1)
		b.ResetTimer()
		for range b.N {
			_, err := p.js.PublishMsgAsync(p.message(events[0]))
			must(b, err)
			_, err = messages.Next()
			must(b, err)
		}
	})
}

// hear takes the event at a position from a feed.
func hear(b *testing.B, feed bus.Feed, position int64) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(b, feed.Wait(ctx, position-1))
	events, err := feed.After(ctx, position-1, 1)
	if err != nil || len(events) != 1 || events[0].Position != position {
		b.Fatalf("after %d come %v, %v", position-1, events, err)
	}
}
