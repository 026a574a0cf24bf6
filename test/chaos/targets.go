package chaos

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/deploy/split/fleet"
	"github.com/seed-21071466/souk/kit/engine"
	"github.com/seed-21071466/souk/test/shop"
)

// room is a process of a shop.
type room struct{ *fleet.Process }

// Kill ends it as a power cut would.
func (r room) Kill() error { r.Process.Kill(); return nil }

// server is an engine, as kit/engine starts them.
type server interface {
	Kill() error
	Start(ctx context.Context) error
	Pause() error
	Resume() error
}

// beneath is an engine that a shop runs on.
type beneath struct{ server }

// Start starts it again.
func (b beneath) Start() error { return b.server.Start(context.Background()) }

// Freeze keeps it from running.
func (b beneath) Freeze() error { return b.Pause() }

// Thaw lets it go on.
func (b beneath) Thaw() error { return b.Resume() }

// portOf is the port of an address, for links to be cut at; 0 where none may be.
func portOf(t testing.TB, address string) int {
	t.Helper()
	if CutAllowed() != nil {
		return 0
	}
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// One is a shop of one process, behind a link.
func One(t testing.TB) (*shop.Shop, []Target) {
	t.Helper()
	s := shop.Start(t, shop.Options{Placement: shop.One, Args: unlimited})
	return s, []Target{frontDoor(t, s, s.Processes()[0])}
}

// frontDoor puts a link before the process that the clients ask.
func frontDoor(t testing.TB, s *shop.Shop, p *fleet.Process) Target {
	t.Helper()
	link, at := NewLink(t, p.Target), strings.TrimPrefix(p.URL, "http://")
	check(t, link.Lead(at))
	s.URL = "http://" + link.Addr()
	return Target{Name: p.Target, Process: room{p}, Link: link, Port: portOf(t, at)}
}

// unlimited lets a load come from one address.
var unlimited = []string{"--set", "gateway.rate_limit=false"}

// engines are the servers beneath a shop of many processes, each reached through a link.
type engines struct {
	targets  []Target
	settings map[string]string
}

// startEngines starts a database, a broker and a cache for one test alone, because they are killed.
func startEngines(t testing.TB) engines {
	t.Helper()
	ctx := context.Background()
	e := engines{settings: map[string]string{}}
	postgres, err := engine.Postgres(ctx, t.TempDir(), engine.PostgresOptions{})
	check(t, err)
	broker, err := engine.NATS(ctx, t.TempDir(), engine.NATSOptions{})
	check(t, err)
	redis, err := engine.Redis(ctx, t.TempDir(), engine.RedisOptions{})
	check(t, err)
	database, err := postgres.Database(ctx, "souk")
	check(t, err)
	e.settings["store.all"] = e.add(t, "postgres", postgres, postgres.Address(), database)
	e.settings["broker.url"] = e.add(t, "nats", broker, broker.Address(), broker.URL())
	e.settings["store.carts"] = e.add(t, "redis", redis, redis.Addr(), redis.URL())
	return e
}

// add makes an engine a target and gives the URL that leads to it over its link.
func (e *engines) add(t testing.TB, name string, s server, address, url string) string {
	t.Helper()
	t.Cleanup(func() { _ = s.Kill() }) // its files go with the test
	link := NewLink(t, name)
	check(t, link.Lead(address))
	e.targets = append(e.targets, Target{Name: name, Process: beneath{s}, Link: link, Port: portOf(t, address)})
	return strings.Replace(url, address, link.Addr(), 1)
}

// Split is a shop of a process a room on engines of its own. Every engine is reached over a link, every room by the
// others, and the front door by the clients.
func Split(t testing.TB) (*shop.Shop, []Target) {
	t.Helper()
	e := startEngines(t)
	links, args := map[string]*Link{}, slices.Clone(unlimited)
	for _, name := range fleet.Rooms {
		links[name] = NewLink(t, name)
		args = append(args, "--set", "peer."+name+"=static:"+links[name].Addr())
	}
	s := shop.Start(t, shop.Options{Placement: shop.Split, Engines: e.settings, Args: args, Before: func(s *shop.Shop) {
		for name, link := range links {
			check(t, link.Lead(s.Of(name).Peer))
		}
	}})
	targets := slices.Clone(e.targets)
	for _, name := range fleet.Rooms {
		p := s.Of(name)
		targets = append(targets, Target{Name: name, Process: room{p}, Link: links[name], Port: portOf(t, p.Peer)})
	}
	return s, append(targets, frontDoor(t, s, s.Of(fleet.Gateway)))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
