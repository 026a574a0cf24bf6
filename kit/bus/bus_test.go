package bus_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInProcess(t *testing.T) {
	bustest.Run(t, func(_ *testing.T, feed bus.Feed) bus.Feed { return feed })
}

func TestBadDelivery(t *testing.T) {
	for seed := range uint64(8) {
		bustest.Run(t, func(_ *testing.T, feed bus.Feed) bus.Feed {
			return faultbus.Wrap(feed, faultbus.Options{Seed: seed})
		})
	}
}
