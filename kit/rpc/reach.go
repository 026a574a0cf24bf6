package rpc

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/seed-21071466/souk/kit/rpc/address"
	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// Bounds of calls and connections between processes.
const (
	MessageMax      = 32 << 20                // bytes of a request or an answer
	HeaderMax       = 64 << 10                // bytes of the metadata of a request
	answerHeaderMax = 4 << 20                 // bytes of the metadata of an answer: a refusal may name a thousand lines
	connectMax      = 2 * time.Second         // for a connection to come about
	reconnectMin    = 50 * time.Millisecond   // between two attempts of it, growing
	reconnectMax    = 1500 * time.Millisecond // at most
	pingAfter       = 10 * time.Second        // of silence a connection is asked whether it is alive; gRPC allows no less
	pingMax         = 3 * time.Second         // for the answer to it

	// What may be on its way of one call and on one connection, in bytes. Told in advance, gRPC need not measure with a ping
	// and its answer at every call what the line holds.
	streamWindow     = 1 << 20
	connectionWindow = 4 << 20
)

// peer is a room that lives in other processes.
type peer struct {
	server   *Server
	room     string
	target   address.Target
	conn     *grpc.ClientConn
	http     *http.Transport
	known    atomic.Pointer[map[string]*replica] // by address
	here     presence
	budget   budget
	seen     *remoteRoom
	methods  sync.Map // full name → *remoteMethod
	complain throttle
}

// Reach says where a room lives when it is not in this process: a target as kit/rpc/address reads it, with as many
// replicas as it names. Nothing need be there yet; a call to a room that is absent is refused as not ready. A room is
// reached once.
func (s *Server) Reach(room, target string) error {
	if err := s.reach(room, target); err != nil {
		return fmt.Errorf("reach room %s: %w", room, err)
	}
	return nil
}

func (s *Server) reach(room, target string) error {
	if err := identity.CheckName(room); err != nil {
		return err
	}
	t, err := address.Parse(target)
	if err != nil {
		return err
	}
	if s.network.Keys == nil && !s.network.Insecure && !t.Local() {
		return fmt.Errorf("target %q: %w", target, errPlain)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.peers.Load()
	if old[room] != nil {
		return fmt.Errorf("it is reached already, at %s", old[room].target)
	}
	p := &peer{server: s, room: room, target: t, budget: newBudget(time.Now()), seen: s.metrics.remote(room)}
	p.here.since, p.here.arrived = time.Now(), make(chan struct{})
	p.known.Store(&map[string]*replica{})
	if p.conn, err = p.connect(); err != nil {
		return err
	}
	p.http = p.transport()
	next := maps.Clone(old)
	next[room] = p
	s.peers.Store(&next)
	p.conn.Connect()
	return nil
}

var errPlain = errors.New("without certificates only this machine is spoken to (localhost, 127.0.0.1, ::1); set certificates, or allow insecure connections explicitly")

// connect makes the connection, which comes about by itself whenever there is somebody.
func (p *peer) connect() (*grpc.ClientConn, error) {
	return grpc.NewClient(scheme+":///"+p.room,
		grpc.WithResolvers(resolving{p}),
		grpc.WithTransportCredentials(p.credentials()),
		grpc.WithAuthority(p.room),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(`{"loadBalancingConfig":[{%q:{}}],"healthCheckConfig":{"serviceName":%q}}`, balancerName, p.room)),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(MessageMax), grpc.MaxCallRecvMsgSize(MessageMax)),
		grpc.WithMaxHeaderListSize(answerHeaderMax),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingMax, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: reconnectMin, Multiplier: 1.6, Jitter: 0.3, MaxDelay: reconnectMax},
			MinConnectTimeout: connectMax,
		}),
		grpc.WithIdleTimeout(0), // always connected, so that the first call after a quiet hour is as fast as any
		grpc.WithNoProxy(),
	)
}

func (p *peer) credentials() credentials.TransportCredentials {
	if keys := p.server.network.Keys; keys != nil {
		return credentials.NewTLS(keys.ClientConfig(p.room))
	}
	return insecure.NewCredentials()
}

// elsewhere is the room as it is reached; nil when it is not.
func (s *Server) elsewhere(room string) *peer {
	if s.rooms.Load().rooms[room] != nil {
		return nil
	}
	return (*s.peers.Load())[room]
}

// Reachable is nil when each of the rooms is here or is reached somewhere; it does not ask whether anybody is there.
// Whoever puts a process together asks before it starts.
func (s *Server) Reachable(rooms ...string) error {
	reg, peers := s.rooms.Load(), *s.peers.Load()
	var lost []string
	for _, room := range rooms {
		if reg.rooms[room] == nil && peers[room] == nil && !slices.Contains(lost, room) {
			lost = append(lost, room)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("no way to %s: neither in this process nor at any address; here are %s; reached are %s", strings.Join(lost, ", "), names(reg.rooms), names(peers))
}

func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// Close ends the connections to the rooms that are elsewhere; later calls to them find them not ready.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for room, p := range *s.peers.Load() {
		if err := p.conn.Close(); err != nil {
			errs = append(errs, fmt.Errorf("leave room %s: %w", room, err))
		}
		p.http.CloseIdleConnections()
		p.seen.left()
	}
	s.peers.Store(&map[string]*peer{})
	return errors.Join(errs...)
}
