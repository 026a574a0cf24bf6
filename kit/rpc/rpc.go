// Package rpc is how one room asks another: gRPC services and clients over a
// connection that is a direct call when both rooms live in this process, and
// keeps the network's semantics all the same. Request and answer are copied;
// deadline, cancellation, metadata and trace cross, the caller's context values
// do not; errors cross as a status with details and come out as problems.
//
//	room A ── Dial("a","b") ─┐                                ┌─ handler of b
//	                         ├─ copy ─ access ─ span ─ metrics ┤
//	REST ──── Edge("b") ─────┘                                └─ recover
//
// Every method states its access by the option kit.v1.rule; a service whose
// method states none is refused when it is registered.
package rpc

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/seed-21071466/souk/kit/problem"
)

const (
	// TimeoutDefault bounds a call whose caller set no deadline, or a later one.
	TimeoutDefault = 10 * time.Second
	// notReadyRetry is what the caller of an absent room is told to wait.
	notReadyRetry = time.Second
	// drainPoll is how often Remove looks whether the last call has ended.
	drainPoll = time.Millisecond
)

// Options of a Server; the zero value works.
type Options struct {
	Log        *slog.Logger          // where causes go that callers never see; default slog.Default()
	Registerer prometheus.Registerer // nil: metrics are kept and not shown
	Timeout    time.Duration         // default TimeoutDefault
	Shop       string                // of the calls that no request caused
}

// Server is the registry of the services that live in this process.
type Server struct {
	log     *slog.Logger
	timeout time.Duration
	shop    string
	metrics *metrics

	mu    sync.Mutex // serializes changes of rooms
	rooms atomic.Pointer[registry]
}

// registry is one unchanging picture of who lives here.
type registry struct {
	methods map[string]*method // by full name, "/souk.orders.v1.Orders/Get"
	rooms   map[string]*resident
}

// resident is a room that lives in this process.
type resident struct {
	name  string
	calls atomic.Int64 // being served
	gone  atomic.Bool
}

// NewServer makes a registry without rooms.
func NewServer(o Options) *Server {
	s := &Server{log: o.Log, timeout: o.Timeout, shop: o.Shop, metrics: newMetrics(o.Registerer)}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.timeout <= 0 {
		s.timeout = TimeoutDefault
	}
	s.rooms.Store(&registry{})
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
	next := &registry{maps.Clone(old.methods), maps.Clone(old.rooms)}
	if next.rooms == nil {
		next.methods, next.rooms = make(map[string]*method), make(map[string]*resident)
	}
	if next.rooms[r.room] == nil {
		next.rooms[r.room] = &resident{name: r.room}
	}
	for _, m := range s.methodsOf(next.rooms[r.room], desc, impl) {
		if next.methods[m.name] != nil {
			panic("rpc: " + m.name + " is registered twice")
		}
		next.methods[m.name] = m
	}
	s.rooms.Store(next)
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
	next := &registry{maps.Clone(old.methods), maps.Clone(old.rooms)}
	maps.DeleteFunc(next.methods, func(_ string, m *method) bool { return m.room == r })
	delete(next.rooms, room)
	s.rooms.Store(next)
	r.gone.Store(true)
	return r
}

// enter finds a method and counts the call; the caller leaves the room after it.
func (s *Server) enter(room, name string) (*method, error) {
	reg := s.rooms.Load()
	m := reg.methods[name]
	switch {
	case reg.rooms[room] == nil:
		return nil, notReady(room)
	case m == nil || m.room.name != room:
		return nil, problem.Newf(problem.Internal, codeUnknownMethod, "%s has no method %s.", room, name)
	}
	m.room.calls.Add(1)
	if m.room.gone.Load() {
		m.room.calls.Add(-1)
		return nil, notReady(room)
	}
	return m, nil
}

func notReady(room string) error {
	return problem.Newf(problem.Unavailable, "not_ready", "The %s service is not ready; try again in a moment.", room).After(notReadyRetry)
}
