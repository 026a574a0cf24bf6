package rpc

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/attributes"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/seed-21071466/souk/kit/rpc/address"
)

// The names by which gRPC knows our resolver and our balancer.
const (
	scheme       = "souk"
	balancerName = "souk_least_pending"
)

func init() { // gRPC wants it before any connection is made
	balancer.Register(counting{base.NewBalancerBuilder(balancerName, pickers{}, base.Config{HealthCheck: true})})
}

// replica is one process of a room, as long as its address is known.
type replica struct {
	at      atomic.Pointer[address.Endpoint]
	pending atomic.Int64
	seen    *remoteRoom
}

// A replica travels from the resolver to the balancer as an attribute of its address.
type replicaKey struct{}

func replicaOf(a resolver.Address) *replica {
	r, _ := a.BalancerAttributes.Value(replicaKey{}).(*replica)
	return r
}

// resolving tells gRPC where a peer's replicas are.
type resolving struct{ peer *peer }

// Scheme is that of the addresses that connect gives gRPC.
func (resolving) Scheme() string { return scheme }

// Build begins to watch the peer's target.
func (r resolving) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	known := map[string]*replica{}
	w := address.Watch(r.peer.target, r.peer.server.network.Addresses, func(found []address.Endpoint, err error) {
		if err != nil { // what was known before stays
			r.peer.note(err)
			cc.ReportError(err)
			return
		}
		known = r.peer.replicas(known, found)
		_ = cc.UpdateState(resolver.State{Addresses: listed(known, found)}) // it only says that there are none, which is so
	})
	return watching{w}, nil
}

// replicas keeps those that are known already, with what is pending at them.
func (p *peer) replicas(known map[string]*replica, found []address.Endpoint) map[string]*replica {
	next := make(map[string]*replica, len(found))
	for _, e := range found {
		r := known[e.Addr]
		if r == nil {
			r = &replica{seen: p.seen}
		}
		r.at.Store(&e)
		next[e.Addr] = r
	}
	return next
}

func listed(known map[string]*replica, found []address.Endpoint) []resolver.Address {
	list := make([]resolver.Address, len(found))
	for i, e := range found {
		list[i] = resolver.Address{Addr: e.Addr, BalancerAttributes: attributes.New(replicaKey{}, known[e.Addr])}
	}
	return list
}

type watching struct{ *address.Watcher }

// ResolveNow is gRPC's word that a connection broke.
func (w watching) ResolveNow(resolver.ResolveNowOptions) { w.Again() }

// Close ends the watching.
func (w watching) Close() { w.Watcher.Close() }

// pickers choose among the replicas that are connected and say that they serve.
type pickers struct{}

// Build keeps to the replicas of the lowest priority that is alive.
func (pickers) Build(info base.PickerBuildInfo) balancer.Picker {
	p := &picker{}
	first := 0
	for conn, at := range info.ReadySCs {
		r := replicaOf(at.Address)
		e := r.at.Load()
		if len(p.choices) > 0 && e.Priority > first {
			continue
		}
		if e.Priority < first {
			p.choices, p.weight = nil, 0
		}
		first = e.Priority
		p.choices, p.weight = append(p.choices, choice{conn, r, e.Weight}), p.weight+e.Weight
	}
	if len(p.choices) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	return p
}

type choice struct {
	conn    balancer.SubConn
	replica *replica
	weight  float64
}

// load is what a further call would make of the replica's.
func (c choice) load() float64 { return float64(c.replica.pending.Load()+1) / c.weight }

// picker takes two replicas by their weight and of them the one with less to do.
type picker struct {
	choices []choice
	weight  float64 // of all
}

// Pick chooses the replica of one call.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	best := p.draw()
	if len(p.choices) > 1 {
		if other := p.draw(); other.load() < best.load() {
			best = other
		}
	}
	best.replica.pending.Add(1)
	sent := attemptOf(info.Ctx)
	return balancer.PickResult{SubConn: best.conn, Done: func(done balancer.DoneInfo) {
		best.replica.pending.Add(-1)
		if done.BytesSent && sent != nil {
			sent.sent.Store(true)
		}
	}}, nil
}

func (p *picker) draw() choice {
	at := rand.Float64() * p.weight
	for _, c := range p.choices[:len(p.choices)-1] {
		if at < c.weight {
			return c
		}
		at -= c.weight
	}
	return p.choices[len(p.choices)-1]
}

// counting counts the connections by their state.
type counting struct{ balancer.Builder }

// Build makes the balancer of one peer.
func (c counting) Build(cc balancer.ClientConn, o balancer.BuildOptions) balancer.Balancer {
	return c.Builder.Build(counted{cc}, o)
}

type counted struct{ balancer.ClientConn }

// NewSubConn is gRPC's connection to one replica.
func (c counted) NewSubConn(at []resolver.Address, o balancer.NewSubConnOptions) (balancer.SubConn, error) {
	seen, tell := replicaOf(at[0]).seen, o.StateListener
	var mu sync.Mutex
	last := connectivity.Shutdown
	o.StateListener = func(s balancer.SubConnState) {
		mu.Lock()
		seen.moved(last, s.ConnectivityState)
		last = s.ConnectivityState
		mu.Unlock()
		tell(s)
	}
	return c.ClientConn.NewSubConn(at, o)
}
