package shop

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-21071466/souk/deploy/split/fleet"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/kit/engine/enginetest"
)

// Placement is a way in which the same shop can run.
type Placement string

// The placements.
const (
	One   Placement = "one"   // all rooms in one process, on embedded storage
	Split Placement = "split" // a process a room, on PostgreSQL, NATS and Redis, with certificates
)

// Chosen is the placement of a whole run of tests, One unless SOUK_TEST_PLACEMENT says otherwise.
func Chosen() Placement {
	if p := Placement(os.Getenv("SOUK_TEST_PLACEMENT")); p != "" {
		return p
	}
	return One
}

// fleet is what is to be run in this placement.
func (p Placement) fleet(t testing.TB, o fleet.Options) fleet.Options {
	t.Helper()
	switch p {
	case One:
		o.Targets = []string{"all"}
	case Split:
		split(t, &o)
	default:
		t.Fatalf("there is no placement %q", p)
	}
	return o
}

// split starts the engines beneath a process a room.
func split(t testing.TB, o *fleet.Options) {
	t.Helper()
	dir := t.TempDir()
	broker, err := engine.NATS(context.Background(), filepath.Join(dir, "nats"), engine.NATSOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Kill() }) // its files go with the test
	o.Targets = append([]string{fleet.Gateway}, fleet.Rooms...)
	o.Settings = map[string]string{
		"store.all": enginetest.Database(t), "store.carts": enginetest.Redis(t, engine.RedisOptions{}).URL(), "broker.url": broker.URL(), "lease.ttl": "2s",
	}
	if o.Own, err = fleet.Certificates(filepath.Join(dir, "certs"), o.Targets...); err != nil {
		t.Fatal(err)
	}
}
