package shop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/rpc/identity"
	"github.com/seed-21071466/souk/kit/telemetry"
)

// network is how the rooms here are asked, and how they ask.
type network struct {
	rpc        *rpc.Server
	transports map[string]http.RoundTripper
	opened     time.Time
	found      atomic.Bool // every room that is asked has been there once, or was waited for
}

// neighboursMax is how long a process that has started waits for the rooms that it asks before it says that it is ready
// all the same: what does not need them works without.
const neighboursMax = 10 * time.Second

// missing is nil once the rooms that are asked here were there, each at least once, or were waited for.
func (n *network) missing() error {
	if n.found.Load() || time.Since(n.opened) > neighboursMax {
		return nil
	}
	for room := range n.transports {
		if !n.rpc.Serving(room) {
			return fmt.Errorf("no process of %s was there yet; it is waited for until %v after the start", room, neighboursMax)
		}
	}
	n.found.Store(true)
	return nil
}

// openNetwork finds the ways to the rooms that are elsewhere. Nobody need be there yet.
func openNetwork(o Options) (*network, error) {
	keys, err := o.Settings.Network.keys(o)
	if err != nil {
		return nil, err
	}
	t := o.Telemetry
	n := &network{opened: time.Now(), transports: map[string]http.RoundTripper{}, rpc: rpc.NewServer(rpc.Options{
		Log: t.Log, Registerer: t.Registry, Shop: Name, Keys: keys, Insecure: o.Settings.Network.Insecure, Tracer: t.TracerProvider,
	})}
	if err := n.reach(o); err != nil {
		return nil, errors.Join(err, n.rpc.Close())
	}
	t.Meet(n.neighbours)
	return n, nil
}

// keys reads the certificate of this process, nil where it speaks without.
func (n Network) keys(o Options) (*identity.Keys, error) {
	if n.Cert == "" && n.Key == "" && n.CA == "" {
		return nil, nil
	}
	if n.Cert == "" || n.Key == "" || n.CA == "" {
		return nil, errors.New("settings network.cert, network.key and network.ca go together: one of them is missing")
	}
	keys, err := identity.Open(identity.Files{Cert: n.Cert, Key: n.Key, CA: n.CA}, o.Telemetry.Log, o.Targets.identities()...)
	if err != nil {
		return nil, fmt.Errorf("settings network.cert, network.key and network.ca: %w", err)
	}
	return keys, nil
}

// identities are the names that this process has among the others.
func (t Targets) identities() []string {
	own := names(t.rooms)
	if t.gateway {
		own = append(own, identity.Gateway)
	}
	return own
}

// reach finds every room elsewhere that somebody here asks.
func (n *network) reach(o Options) error {
	for _, room := range o.Targets.asked() {
		at := o.Settings.Peers.Of(room)
		if at == "" {
			return fmt.Errorf("no way to %s, which %s asks: it is not among the targets, and neither peer.%s nor peer.all says where it is", room, o.Targets, room)
		}
		if err := n.rpc.Reach(room, at); err != nil {
			return fmt.Errorf("setting peer.%s: %w", room, err)
		}
		over, err := n.rpc.Transport(room)
		if err != nil {
			return err
		}
		n.transports[room] = over
	}
	return nil
}

// asked are the rooms elsewhere that are needed here.
func (t Targets) asked() (asked []string) {
	for _, away := range t.away {
		needed := t.gateway
		for _, here := range t.rooms {
			needed = needed || slices.Contains(here.Needs, away.Name)
		}
		if needed {
			asked = append(asked, away.Name)
		}
	}
	return asked
}

// transport is the way of HTTP to a room elsewhere.
func (n *network) transport(room string) http.RoundTripper { return n.transports[room] }

// neighbours are the processes of the rooms elsewhere, to be asked for their parts of a trace.
func (n *network) neighbours() (all []telemetry.Neighbour) {
	for _, p := range n.rpc.Processes() {
		name := strings.Join(p.Rooms, ",") + " at " + p.Address
		all = append(all, telemetry.NeighbourAt(name, "http://"+p.Address, &http.Client{Transport: p.HTTP}))
	}
	return all
}

// ServePeers lets the processes of other rooms ask those here on network.listen, until ctx ends. What is said to the front door of another process is said to nobody else.
func (s *Shop) ServePeers(ctx context.Context, l net.Listener) error {
	return s.network.rpc.Serve(ctx, l, rpc.ServeOptions{HTTP: s.inside()})
}

// inside serves the REST of the rooms here, and what processes ask each other, to those who may.
func (s *Shop) inside() http.Handler {
	t := s.o.Telemetry
	mux := http.NewServeMux()
	mux.Handle("/internal/", among(t.Internal(), t.Log, func(identity.Peer) bool { return true }))
	mux.Handle(internalBackups, among(http.StripPrefix(strings.TrimSuffix(internalBackups, "/"), s.copied.Handler()), t.Log,
		func(p identity.Peer) bool { return p.Is(identity.Gateway) }))
	mux.Handle("/", among(rest.Inside(s.mux), t.Log, func(p identity.Peer) bool { return p.Is(identity.Gateway) }))
	return mux
}

// among serves those of whom may says so.
func among(h http.Handler, log *slog.Logger, may func(identity.Peer) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := identity.From(r.Context()); !ok || !may(p) {
			log.WarnContext(r.Context(), "somebody asked who may not", "path", r.URL.Path, "names", p.Names)
			rest.Refuse(w, r, problem.New(problem.Forbidden, "caller_not_allowed", "This address is not for you."))
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (n *network) close() error { return n.rpc.Close() }
