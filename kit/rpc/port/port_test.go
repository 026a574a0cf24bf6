package port_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/seed-21071466/souk/kit/rpc/identity"
	"github.com/seed-21071466/souk/kit/rpc/port"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// process serves both protocols on one address, and tells who asked.
type process struct {
	addr string
	grpc chan identity.Peer
}

func serve(t *testing.T, o port.Options) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Log = quiet
	s, p := port.Share(l, o), &process{addr: l.Addr().String(), grpc: make(chan identity.Peer, 1)}
	g := grpc.NewServer(grpc.Creds(port.Credentials()), grpc.UnaryInterceptor(
		func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			from, _ := grpcpeer.FromContext(ctx)
			p.grpc <- from.AuthInfo.(port.AuthInfo).Peer
			return next(ctx, in)
		}))
	healthv1.RegisterHealthServer(g, health.NewServer())
	h := &http.Server{ConnContext: port.WithPeer, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, ok := identity.From(r.Context())
		fmt.Fprint(w, from.Names, from.Verified, ok)
	})}
	go g.Serve(s.GRPC())
	go h.Serve(s.HTTP())
	t.Cleanup(func() {
		g.Stop()
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *process) askGRPC(t *testing.T, c credentials.TransportCredentials) identity.Peer {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+p.addr, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	return <-p.grpc
}

func (p *process) askHTTP(t *testing.T, scheme string, tr *http.Transport) string {
	t.Helper()
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Post(scheme+"://"+p.addr, "text/plain", strings.NewReader("PRI"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOneAddressSpeaksBoth(t *testing.T) {
	p := serve(t, port.Options{})
	if who := p.askGRPC(t, insecure.NewCredentials()); who.Verified || !who.Is("anybody") {
		t.Errorf("gRPC without TLS knows %+v", who)
	}
	if got := p.askHTTP(t, "http", new(http.Transport)); got != "[] false true" {
		t.Errorf("HTTP without TLS knows %s", got)
	}
}

func TestOneAddressSpeaksBothOverTLS(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, port.Options{Keys: open(t, dir, "orders")})
	client := open(t, dir, identity.Gateway)
	if who := p.askGRPC(t, credentials.NewTLS(client.ClientConfig("orders"))); !who.Verified || who.Sole() != identity.Gateway {
		t.Errorf("gRPC knows %+v", who)
	}
	if got := p.askHTTP(t, "https", &http.Transport{TLSClientConfig: client.ClientConfig("orders")}); got != "[gateway] true true" {
		t.Errorf("HTTP knows %s", got)
	}
	res, err := http.Get("http://" + p.addr)
	if err == nil {
		res.Body.Close()
		t.Error("the address of TLS answers in the clear")
	}
}

func open(t *testing.T, dir string, name string) *identity.Keys {
	t.Helper()
	if _, err := identity.Issue(dir, time.Now(), nil, []string{name}); err != nil {
		t.Fatal(err)
	}
	k, err := identity.Open(identity.FilesIn(dir, name), quiet, name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhoSaysNothingIsHungUpOn(t *testing.T) {
	for name, keys := range map[string]*identity.Keys{"without TLS": nil, "with TLS": open(t, t.TempDir(), "orders")} {
		for what, said := range map[string]string{"nothing": "", "half a preface": "PRI * HTTP"} {
			t.Run(name+", "+what, func(t *testing.T) {
				p := serve(t, port.Options{Keys: keys, Greeting: 50 * time.Millisecond})
				conn, err := net.Dial("tcp", p.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := conn.Write([]byte(said)); err != nil {
					t.Fatal(err)
				}
				if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "i/o timeout") {
					t.Error("the connection is still open")
				}
			})
		}
	}
}

func TestBytesMayComeOneByOne(t *testing.T) {
	p := serve(t, port.Options{})
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, b := range []byte("PRINT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") { // begins as the preface does
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestAnIdleAddressCloses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := port.Share(l, port.Options{Log: quiet})
	conn, err := net.Dial("tcp", l.Addr().String()) // and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > port.GreetingMax {
		t.Errorf("it took %v", took)
	}
	if _, err := s.GRPC().Accept(); err == nil {
		t.Error("a closed address accepts")
	}
}
