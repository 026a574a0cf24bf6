package shop

import (
	"context"
	"net"
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
	Twins Placement = "twins" // two processes of all rooms, on one PostgreSQL; requests go to them in turn
	// Halves is two processes that share a data folder, each with some of the rooms on their files; one runs the broker.
	Halves Placement = "halves"
	Split  Placement = "split" // a process a room, on PostgreSQL, NATS and Redis, with certificates
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
	case Twins:
		o.Targets, o.Replicas = []string{"all"}, map[string]int{"all": 2}
		o.Settings = map[string]string{"store.all": enginetest.Database(t), "lease.ttl": "2s"}
	case Halves:
		halves(t, &o)
	case Split:
		split(t, &o)
	default:
		t.Fatalf("there is no placement %q", p)
	}
	return o
}

// halves are the stall and the till.
func halves(t testing.TB, o *fleet.Options) {
	t.Helper()
	stall, till := "gateway,users,catalog,pricing,inventory,carts", "shipping,payments,orders,notifications"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broker := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o.Targets = []string{stall, till}
	o.Own = func(target string) map[string]string {
		if target == stall {
			return map[string]string{"broker.listen": broker}
		}
		return map[string]string{"broker.url": "nats://" + broker}
	}
}

// split is a process a room, on the engines that the options name, or on its own.
func split(t testing.TB, o *fleet.Options) {
	t.Helper()
	if o.Settings == nil {
		o.Settings = engines(t)
	}
	var err error
	o.Targets = append([]string{fleet.Gateway}, fleet.Rooms...)
	if o.Own, err = fleet.Certificates(filepath.Join(t.TempDir(), "certs"), o.Targets...); err != nil {
		t.Fatal(err)
	}
}

// engines starts those of one shop and gives the settings that name them.
func engines(t testing.TB) map[string]string {
	t.Helper()
	broker, err := engine.NATS(context.Background(), filepath.Join(t.TempDir(), "nats"), engine.NATSOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Kill() }) // its files go with the test
	return map[string]string{
		"store.all": enginetest.Database(t), "store.carts": enginetest.Redis(t, engine.RedisOptions{}).URL(), "broker.url": broker.URL(),
		"lease.ttl": "2s", // what a killed process did is taken up soon
	}
}
