package rpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/rpc/identity"
	"github.com/seed-21071466/souk/kit/rpc/rpctest"
)

// soon is all the time that a room has to come, where it never does.
const soon = 100 * time.Millisecond

func TestOverTheNetwork(t *testing.T) {
	t.Run("without TLS", func(t *testing.T) {
		rpctest.Run(t, func(t *testing.T, register func(grpc.ServiceRegistrar)) rpctest.Placement {
			return apart(t, rpc.Options{Log: quiet}, rpc.Options{Log: quiet}, register)
		})
	})
	t.Run("with mutual TLS", func(t *testing.T) {
		dir := t.TempDir()
		here := keys(t, dir, rpctest.Room)
		there := keys(t, dir, rpctest.Caller, rpctest.Stranger, identity.Gateway)
		rpctest.Run(t, func(t *testing.T, register func(grpc.ServiceRegistrar)) rpctest.Placement {
			return apart(t, rpc.Options{Log: quiet, Keys: here}, rpc.Options{Log: quiet, Keys: there}, register)
		})
	})
}

// keys are those of one process with these rooms.
func keys(t testing.TB, dir string, names ...string) *identity.Keys {
	t.Helper()
	if _, err := identity.Issue(dir, time.Now(), nil, names); err != nil {
		t.Fatal(err)
	}
	k, err := identity.Open(identity.FilesIn(dir, names...), quiet, names...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// distance is a placement in two processes, of which one has the room and the other asks it.
type distance struct {
	here, there *rpc.Server
	lonely      *rpc.Server // as there, and soon out of patience with a room that is absent
}

func (d distance) Dial(caller, room string) grpc.ClientConnInterface {
	switch {
	case caller == rpctest.Room:
		return d.here.Dial(caller, room)
	case room == rpctest.Absent:
		return d.lonely.Dial(caller, room)
	}
	return d.there.Dial(caller, room)
}

func (d distance) Edge(room string) grpc.ClientConnInterface { return d.there.Edge(room) }

func apart(t testing.TB, here, there rpc.Options, register func(grpc.ServiceRegistrar)) distance {
	t.Helper()
	d := distance{here: rpc.NewServer(here), there: rpc.NewServer(there)}
	there.Patience = soon
	d.lonely = rpc.NewServer(there)
	register(d.here.For(rpctest.Room))
	at := serve(t, d.here, listen(t, "127.0.0.1:0"), rpc.ServeOptions{Notice: time.Millisecond})
	reach(t, d.there, rpctest.Room, "static:"+at.addr)
	reach(t, d.lonely, rpctest.Absent, "static:"+nobody(t))
	return d
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// nobody is an address at which nobody listens.
func nobody(t testing.TB) string {
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

func reach(t testing.TB, s *rpc.Server, room, target string) {
	t.Helper()
	if err := s.Reach(room, target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// served is a process that serves until it is stopped.
type served struct {
	addr  string
	stop  context.CancelFunc
	ended chan error
}

func serve(t testing.TB, s *rpc.Server, l net.Listener, o rpc.ServeOptions) *served {
	ctx, stop := context.WithCancel(context.Background())
	p := &served{addr: l.Addr().String(), stop: stop, ended: make(chan error, 1)}
	go func() { p.ended <- s.Serve(ctx, l, o); close(p.ended) }()
	t.Cleanup(func() { stop(); <-p.ended })
	return p
}
