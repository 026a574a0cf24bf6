// Package rpc is how one room asks another: gRPC services and clients over a
// connection that is a direct call when both rooms live in this process, and
// keeps the network's semantics all the same. Request and answer are copied;
// deadline, cancellation, metadata and trace cross, the caller's context values
// do not; errors cross as a status with details and come out as problems.
//
//	room A ── Dial("a","b") ─┬─ b is here ─── copy ─────────────┬─ access ─ span ─ metrics ─┬─ handler of b
//	REST ──── Edge("b") ─────┘                                  │                           └─ recover
//	                         └─ b is reached ─ retry ─ balance ─┴ (another process: Serve)
//
// Every method states its access and its callers by the option kit.v1.rule; a
// service whose method states none is refused when it is registered. A method
// that may be heard twice says so by the standard option idempotency_level.
package rpc

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc/address"
	"github.com/seed-21071466/souk/kit/rpc/identity"
)

const (
	// TimeoutDefault bounds a call whose caller set no deadline, or a later one.
	TimeoutDefault = 10 * time.Second
	// notReadyRetry is what the caller of an absent room is told to wait.
	notReadyRetry = time.Second
	// drainPoll is how often Remove looks whether the last call has ended.
	drainPoll = time.Millisecond
	// clockSlack is by how much a caller elsewhere may see its deadline come sooner than the server does: as long as the call was
	// on its way.
	clockSlack = 250 * time.Millisecond
)

// Options of a Server; the zero value works.
type Options struct {
	Log        *slog.Logger          // where causes go that callers never see; default slog.Default()
	Registerer prometheus.Registerer // nil: metrics are kept and not shown
	Timeout    time.Duration         // default TimeoutDefault
	Shop       string                // of the calls that no request caused

	Keys      *identity.Keys       // of this process, for calls over the network; nil: without TLS
	Insecure  bool                 // without TLS, speak to other machines all the same; then anybody there can say to be any room
	Addresses address.Options      // how addresses are looked up
	Patience  time.Duration        // how long callers wait for a room that has just gone; default PatienceDefault
	Tracer    trace.TracerProvider // of calls whose trace is recorded and whose parent is in another process; nil: it is only passed on
}

// Server is the registry of the services that live in this process.
type Server struct {
	log     *slog.Logger
	timeout time.Duration
	shop    string
	metrics *metrics
	network Options // what calls over the network need of them

	mu     sync.Mutex // serializes changes of rooms and of peers
	rooms  atomic.Pointer[registry]
	peers  atomic.Pointer[map[string]*peer] // the rooms that live elsewhere
	health *health.Server
}

// registry is one unchanging picture of who lives here.
type registry struct {
	methods  map[string]*method // by full name, "/souk.orders.v1.Orders/Get"
	rooms    map[string]*resident
	services []service
}

// service is what a room registered.
type service struct {
	desc *grpc.ServiceDesc
	room string
}

// resident is a room that lives in this process.
type resident struct {
	name  string
	calls atomic.Int64 // being served
	gone  atomic.Bool
}

// NewServer makes a registry without rooms.
func NewServer(o Options) *Server {
	s := &Server{log: o.Log, timeout: o.Timeout, shop: o.Shop, metrics: newMetrics(o.Registerer), network: o, health: health.NewServer()}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.timeout <= 0 {
		s.timeout = TimeoutDefault
	}
	if s.network.Patience <= 0 {
		s.network.Patience = PatienceDefault
	}
	s.rooms.Store(&registry{})
	s.peers.Store(&map[string]*peer{})
	return s
}

// For registers services that belong to a room.
func (s *Server) For(room string) grpc.ServiceRegistrar { return registrar{s, room} }

type registrar struct {
	server *Server
	room   string
}

// RegisterService is called by the generated RegisterXServer functions. Like
// grpc-go's own it panics on what only a programmer can get wrong.
func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s := r.server
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.rooms.Load()
	next := old.clone()
	if next.rooms[r.room] == nil {
		next.rooms[r.room] = &resident{name: r.room}
	}
	for _, m := range s.methodsOf(next.rooms[r.room], desc, impl) {
		if next.methods[m.name] != nil {
			panic("rpc: " + m.name + " is registered twice")
		}
		next.methods[m.name] = m
	}
	next.services = append(next.services, service{desc, r.room})
	s.rooms.Store(next)
	s.health.SetServingStatus(r.room, healthv1.HealthCheckResponse_SERVING)
	s.health.SetServingStatus(desc.ServiceName, healthv1.HealthCheckResponse_SERVING)
}

// clone is a picture that may be changed until it is shown.
func (r *registry) clone() *registry {
	next := &registry{maps.Clone(r.methods), maps.Clone(r.rooms), slices.Clone(r.services)}
	if next.rooms == nil {
		next.methods, next.rooms = make(map[string]*method), make(map[string]*resident)
	}
	return next
}

// Remove takes a room away: calls that come later find it not ready, and those
// that are being served are waited for until ctx ends.
func (s *Server) Remove(ctx context.Context, room string) error {
	r := s.forget(room)
	if r == nil {
		return nil
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for r.calls.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return problem.Newf(problem.Timeout, "drain_timeout", "%d calls to %s have not ended", r.calls.Load(), room).Because(ctx.Err())
		}
	}
	return nil
}

func (s *Server) forget(room string) *resident {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.rooms.Load()
	r := old.rooms[room]
	if r == nil {
		return nil
	}
	next := old.clone()
	maps.DeleteFunc(next.methods, func(_ string, m *method) bool { return m.room == r })
	delete(next.rooms, room)
	s.rooms.Store(next)
	r.gone.Store(true)
	s.setReady(old, room, false)
	return r
}

// SetReady tells the other processes, by the health service, whether a room of this one can serve now; they ask another
// replica while it cannot. A room is ready from its registration until it is removed.
func (s *Server) SetReady(room string, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reg := s.rooms.Load(); reg.rooms[room] != nil {
		s.setReady(reg, room, ready)
	}
}

func (s *Server) setReady(reg *registry, room string, ready bool) {
	state := healthv1.HealthCheckResponse_NOT_SERVING
	if ready {
		state = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(room, state)
	for _, have := range reg.services {
		if have.room == room {
			s.health.SetServingStatus(have.desc.ServiceName, state)
		}
	}
}

// enter finds a method and counts the call; the caller leaves the room after it.
func (s *Server) enter(room, name string) (*method, error) {
	reg := s.rooms.Load()
	m := reg.methods[name]
	switch {
	case reg.rooms[room] == nil:
		return nil, notReady(room)
	case m == nil || m.room.name != room:
		return nil, unknownMethod(room, name)
	}
	m.room.calls.Add(1)
	if m.room.gone.Load() {
		m.room.calls.Add(-1)
		return nil, notReady(room)
	}
	return m, nil
}

func unknownMethod(room, name string) *problem.Error {
	return problem.Newf(problem.Internal, codeUnknownMethod, "%s has no method %s.", room, name)
}

func notReady(room string) *problem.Error {
	return problem.Newf(problem.Unavailable, "not_ready", "The %s service is not ready; try again in a moment.", room).After(notReadyRetry)
}
