package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc/port"
)

// Bounds of what is served to other processes.
const (
	StreamsMax        = 1024             // calls at once on one connection
	connectionAge     = time.Minute      // after which a connection is asked to go, so that callers find new replicas; gRPC spreads it by a tenth
	connectionGrace   = 20 * time.Second // for its calls to end then
	workersPerCPU     = 16
	pingMin           = 5 * time.Second  // a connection that pings more often is hung up on
	DrainDefault      = 15 * time.Second // for the calls under way when serving ends
	NoticeDefault     = 300 * time.Millisecond
	httpHeaderTime    = 5 * time.Second // for the header of a request to arrive
	httpIdle          = 2 * time.Minute // for the next request on a connection
	httpHeaderMaxSize = 64 << 10        // bytes
)

// ServeOptions of Serve; the zero value works.
type ServeOptions struct {
	HTTP   http.Handler  // answers plain HTTP/1.1 on the same address; who asks it finds by identity.From; nil: nothing is there
	Drain  time.Duration // default DrainDefault
	Notice time.Duration // for callers to hear that it ends; default NoticeDefault
}

// Serve lets the rooms of this process be called over the network, by gRPC and, when HTTP is given, by plain HTTP on the
// same address, until ctx ends. Every room must be registered by then. It ends in four steps: the health service says that nothing
// is served any more, callers get a moment to hear it, no new calls are taken, and those under way are waited for, for Drain
// at most. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener, o ServeOptions) error {
	if err := s.mayListen(l); err != nil {
		return errors.Join(fmt.Errorf("serve rooms on %s: %w", l.Addr(), err), l.Close())
	}
	if o.Drain <= 0 {
		o.Drain = DrainDefault
	}
	if o.Notice <= 0 {
		o.Notice = NoticeDefault
	}
	d := s.newDoor(l, o)
	failed := make(chan error, 2)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- d.grpc.Serve(d.port.GRPC()) })
	serving.Go(func() { failed <- d.http.Serve(d.port.HTTP()) })
	var err error
	select {
	case <-ctx.Done():
		s.health.Shutdown()
		rest(context.WithoutCancel(ctx), o.Notice) // callers hear it and go elsewhere
	case err = <-failed:
		err = fmt.Errorf("serve rooms on %s: %w", l.Addr(), err)
	}
	err = errors.Join(err, d.close(context.WithoutCancel(ctx), o.Drain))
	serving.Wait()
	return err
}

// mayListen refuses to be asked in the clear by other machines.
func (s *Server) mayListen(l net.Listener) error {
	at, ok := l.Addr().(*net.TCPAddr)
	if s.network.Keys == nil && !s.network.Insecure && (!ok || !at.IP.IsLoopback()) {
		return errPlain
	}
	return nil
}

// door is what stands on one address.
type door struct {
	port *port.Shared
	grpc *grpc.Server
	http *http.Server
}

func (s *Server) newDoor(l net.Listener, o ServeOptions) *door {
	handler := o.HTTP
	if handler == nil {
		handler = http.NotFoundHandler()
	}
	s.health.Resume()
	return &door{
		port: port.Share(l, port.Options{Keys: s.network.Keys, Log: s.log}),
		grpc: s.grpcServer(),
		http: &http.Server{
			Handler: handler, ConnContext: port.WithPeer, ReadHeaderTimeout: httpHeaderTime, IdleTimeout: httpIdle, MaxHeaderBytes: httpHeaderMaxSize,
		},
	}
}

// grpcServer offers what is registered now.
func (s *Server) grpcServer() *grpc.Server {
	g := grpc.NewServer(
		grpc.Creds(port.Credentials()),
		grpc.MaxRecvMsgSize(MessageMax), grpc.MaxSendMsgSize(MessageMax), grpc.MaxHeaderListSize(HeaderMax),
		grpc.MaxConcurrentStreams(StreamsMax),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(connectionWindow),
		grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))*workersPerCPU), // whose stacks have grown already; more calls than that get goroutines of their own
		grpc.ConnectionTimeout(port.GreetingMax),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: connectionAge, MaxConnectionAgeGrace: connectionGrace, Time: pingAfter, Timeout: pingMax,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMin, PermitWithoutStream: true}),
	)
	for _, sv := range s.rooms.Load().services {
		g.RegisterService(s.offered(sv), nil)
	}
	healthv1.RegisterHealthServer(g, s.health)
	reflection.Register(g)
	return g
}

// close lets nobody in any more, waits for the calls under way and then hangs up.
func (d *door) close(ctx context.Context, drain time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	err := d.port.Close()
	var ending sync.WaitGroup
	late := context.AfterFunc(ctx, d.grpc.Stop)
	ending.Go(d.grpc.GracefulStop)
	ending.Go(func() {
		if d.http.Shutdown(ctx) != nil {
			_ = d.http.Close() // they had their time
		}
	})
	ending.Wait()
	if !late() {
		err = errors.Join(err, problem.New(problem.Timeout, "drain_timeout", "calls from other processes were cut off when serving ended"))
	}
	return err
}
