package rpc

import (
	"math/rand/v2"
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
	balancerName = "souk-least-pending"
)

func init() { // gRPC wants it before any connection is made
	balancer.Register(counting{base.NewBalancerBuilder(balancerName, pickers{}, base.Config{HealthCheck: true})})
}

// replica is one process of a room, as long as its address is known.
type replica struct {
	at      atomic.Pointer[address.Endpoint]
	pending atomic.Int64
	ready   atomic.Bool // it is connected and says that it serves
	peer    *peer
}

// turned notes that the connection to the replica is in another state.
func (r *replica) turned(from, to connectivity.State) {
	r.peer.seen.moved(from, to)
	if ready := to == connectivity.Ready; r.ready.Swap(ready) != ready {
		by := -1
		if ready {
			by = 1
		}
		r.peer.here.changed(by)
	}
}

// A replica travels from the resolver to the balancer as an attribute of its address.
type replicaKey struct{}

func replicaOf(a resolver.Address) *replica {
	//lint:ignore SA1019 an endpoint's own attributes do not reach a balancer that is made of base's pickers
	r, _ := a.BalancerAttributes.Value(replicaKey{}).(*replica)
	return r
}

// resolving tells gRPC where a peer's replicas are.
type resolving struct{ peer *peer }

// Scheme is that of the addresses that connect gives gRPC.
func (resolving) Scheme() string { return scheme }

// Build begins to watch the peer's target.
func (r resolving) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	known := map[string]*replica{} // by address
	w := address.Watch(r.peer.target, r.peer.server.network.Addresses, func(found []address.Endpoint, err error) {
		if err != nil { // what was known before stays
			r.peer.note(err)
			cc.ReportError(err)
			return
		}
		next := r.peer.replicas(known, found) // never changed again: requests read it meanwhile
		known = next
		r.peer.known.Store(&next)
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
			r = &replica{peer: p}
		}
		r.at.Store(&e)
		next[e.Addr] = r
	}
	return next
}

func listed(known map[string]*replica, found []address.Endpoint) []resolver.Address {
	list := make([]resolver.Address, len(found))
	for i, e := range found {
		//lint:ignore SA1019 see replicaOf
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

// Build makes the picker of the replicas as they are now.
func (pickers) Build(info base.PickerBuildInfo) balancer.Picker {
	p := new(picker)
	for conn, at := range info.ReadySCs {
		p.add(choice{replica: replicaOf(at.Address), conn: conn})
	}
	if len(p.list) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	return p
}

// choice is a replica that could take a call.
type choice struct {
	replica *replica
	conn    balancer.SubConn // of gRPC
	weight  float64
}

// load is what the replica has to do, by its weight.
func (c choice) load() float64 { return float64(c.replica.pending.Load()) / c.weight }

// choices are the replicas of the lowest priority that there is.
type choices struct {
	list     []choice
	priority int
	weight   float64 // of all
}

func (s *choices) add(c choice) {
	e := c.replica.at.Load()
	if len(s.list) > 0 && e.Priority > s.priority {
		return
	}
	if e.Priority < s.priority {
		s.list, s.weight = nil, 0
	}
	c.weight, s.priority = e.Weight, e.Priority
	s.list, s.weight = append(s.list, c), s.weight+c.weight
}

// best draws one by its weight, and takes any other one instead that has less to do.
func (s *choices) best() choice {
	first := s.draw()
	if len(s.list) == 1 {
		return s.list[0]
	}
	other := rand.IntN(len(s.list) - 1)
	if other >= first {
		other++
	}
	if s.list[other].load() < s.list[first].load() {
		return s.list[other]
	}
	return s.list[first]
}

func (s *choices) draw() int {
	at, last := rand.Float64()*s.weight, len(s.list)-1
	for i, c := range s.list[:last] {
		if at < c.weight {
			return i
		}
		at -= c.weight
	}
	return last
}

// picker chooses the replica of a gRPC call.
type picker struct{ choices }

// Pick chooses, and notes when the call is over whether any of it was sent.
func (p *picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	best := p.best()
	best.replica.pending.Add(1)
	sent := attemptOf(info.Ctx)
	return balancer.PickResult{SubConn: best.conn, Done: func(done balancer.DoneInfo) {
		best.replica.pending.Add(-1)
		if done.BytesSent && sent != nil {
			sent.sent.Store(true)
		}
	}}, nil
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
	r, tell := replicaOf(at[0]), o.StateListener
	last := connectivity.Shutdown
	o.StateListener = func(s balancer.SubConnState) { // gRPC calls it for one change at a time
		r.turned(last, s.ConnectivityState)
		last = s.ConnectivityState
		tell(s)
	}
	//lint:ignore SA1019 it is passed on, with the one address that it has
	return c.ClientConn.NewSubConn(at, o)
}
