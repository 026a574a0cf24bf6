package storeredis_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
	"github.com/seed-21071466/souk/services/carts/app"
	"github.com/seed-21071466/souk/services/carts/storeredis"
	"github.com/seed-21071466/souk/services/carts/storetest"
)

// The client asks a cluster anew a moment after a connection was lost, also when it is closed by then.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

var quiet = slog.New(slog.DiscardHandler)

// open opens carts of a shop at a server.
func open(t *testing.T, url, shop string, c clock.Clock) *storeredis.Store {
	t.Helper()
	s, err := storeredis.Open(context.Background(), url, storeredis.Options{Shop: shop, Clock: c, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{})
	var shops atomic.Int64
	storetest.Run(t, func(*testing.T) storetest.Open {
		shop := fmt.Sprint("shop", shops.Add(1))
		return func(t *testing.T, c clock.Clock) app.Store { return open(t, server.URL(), shop, c) }
	}, storetest.Can{Share: true})
}

func TestKeeper(t *testing.T) {
	server := enginetest.Redis(t, engine.RedisOptions{})
	heard := map[string]app.Hear{bustest.Type: func(bus.Event) (app.Bought, error) { return app.Bought{CartID: "crt_ended"}, nil }}
	var shops atomic.Int64
	bustest.RunKeeper(t, func(t *testing.T) bus.Keeper {
		s := open(t, server.URL(), fmt.Sprint("shop", shops.Add(1)), clock.System{})
		t.Cleanup(func() { _ = s.Close() })
		return s.Follow(bus.Consumer{Name: bustest.ConsumerName}, heard).Keep
	})
}

func BenchmarkStore(b *testing.B) {
	for _, fsync := range []string{"always", "everysec"} {
		b.Run(fsync, func(b *testing.B) {
			s, err := storeredis.Open(context.Background(), enginetest.Redis(b, engine.RedisOptions{Fsync: fsync}).URL(),
				storeredis.Options{Shop: "shop", Clock: clock.System{}, Log: quiet})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			storetest.Bench(b, s)
		})
	}
}
