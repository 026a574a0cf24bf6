package rpc_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// guarded serves the library over mutual TLS; who asks it says what the handler saw.
func guarded(t *testing.T) (dir, addr string) {
	t.Helper()
	dir = t.TempDir()
	s := rpc.NewServer(rpc.Options{Log: quiet, Keys: keys(t, dir, "library")})
	rpctestv1.RegisterProbeServer(s.For("library"), library{do: func(ctx context.Context) (*rpctestv1.AskResponse, error) {
		return &rpctestv1.AskResponse{Principal: auth.From(ctx).String()}, nil
	}})
	return dir, serve(t, s, listen(t, "127.0.0.1:0"), hasty).addr
}

// plain is a connection of gRPC's own, without anything of ours.
func plain(t *testing.T, addr string, c credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestTheCertificateSaysWhoCalls(t *testing.T) {
	dir, addr := guarded(t)
	customer := auth.Principal{Kind: auth.Customer, ID: "sub_1"}.Encode()
	for name, c := range map[string]struct {
		names    []string // of the certificate
		metadata []string
		want     string // the principal that the handler sees, or the code of the problem
	}{
		"a room that is who it says":                        {[]string{"caller"}, []string{rpc.KeyCaller, "caller"}, "service:caller"},
		"a room with one name need not say it":              {[]string{"caller"}, nil, "service:caller"},
		"one of several rooms of a process":                 {[]string{"caller", "desk"}, []string{rpc.KeyCaller, "desk"}, "service:desk"},
		"a process of several rooms must say which":         {[]string{"caller", "desk"}, nil, "caller_required"},
		"a room that says to be another":                    {[]string{"caller"}, []string{rpc.KeyCaller, "desk"}, "caller_unproven"},
		"a room that says to be the front door":             {[]string{"caller"}, []string{rpc.KeyCaller, identity.Gateway, rpc.KeyPrincipal, customer}, "caller_unproven"},
		"the front door says for whom it asks":              {[]string{identity.Gateway}, []string{rpc.KeyPrincipal, customer}, "customer:sub_1"},
		"the front door asks for nobody":                    {[]string{identity.Gateway}, nil, "anonymous"},
		"the front door never asks for a room":              {[]string{identity.Gateway}, []string{rpc.KeyPrincipal, auth.Principal{Kind: auth.Service, ID: "desk"}.Encode()}, "credentials_invalid"},
		"what a room says of a customer is not listened to": {[]string{"caller"}, []string{rpc.KeyPrincipal, customer}, "service:caller"},
		"a room that the contract does not name":            {[]string{"stranger"}, nil, "caller_not_allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := plain(t, addr, credentials.NewTLS(keys(t, dir, c.names...).ClientConfig("library")))
			ctx := metadata.AppendToOutgoingContext(t.Context(), c.metadata...)
			got, err := rpctestv1.NewProbeClient(conn).Ask(ctx, echo)
			heard := got.GetPrincipal()
			if err != nil {
				heard = rpc.FromStatus(err).Code
			}
			if heard != c.want {
				t.Errorf("%s, want %s (%v)", heard, c.want, err)
			}
		})
	}
}

func TestTheFrontDoorIsNoRoom(t *testing.T) {
	dir, addr := guarded(t)
	s := rpc.NewServer(rpc.Options{Log: quiet, Keys: keys(t, dir, identity.Gateway)})
	reach(t, s, "library", "static:"+addr)
	if _, err := rpctestv1.NewProbeClient(s.Edge("library")).AskService(t.Context(), echo); !problem.Is(err, "not_found") {
		t.Errorf("a method of rooms at the front door: %v", err)
	}
}

func TestTheServerMustBeTheRoomThatIsAsked(t *testing.T) {
	dir, addr := guarded(t)
	var log strings.Builder
	s := rpc.NewServer(rpc.Options{Log: logged(&log), Keys: keys(t, dir, "caller"), Patience: soon})
	reach(t, s, "archive", "static:"+addr)
	_, err := rpctestv1.NewProbeClient(s.Dial("caller", "archive")).Ask(t.Context(), echo)
	if !problem.Is(err, "not_ready") || strings.Contains(err.Error(), "spiffe") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil { // nothing is logged any more
		t.Error(err)
	}
	if !strings.Contains(log.String(), "the server is spiffe://souk/library: spiffe://souk/archive is expected") {
		t.Errorf("the operator is told %s", &log)
	}
}

func TestACallerWithoutTLSIsRefusedByAServerWith(t *testing.T) {
	_, addr := guarded(t)
	_, client := reader(t, "static:"+addr, rpc.Options{Patience: soon})
	if _, err := client.Ask(t.Context(), echo); !problem.Is(err, "not_ready") {
		t.Errorf("got %v", err)
	}
	_, err := rpctestv1.NewProbeClient(plain(t, addr, insecure.NewCredentials())).Ask(t.Context(), echo)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotWorkIsRefusedAtTheStart(t *testing.T) {
	s := rpc.NewServer(rpc.Options{Log: quiet})
	rpctestv1.RegisterProbeServer(s.For("library"), library{})
	reach(t, s, "archive", "static:127.0.0.1:1")
	for name, c := range map[string]struct{ room, target, want string }{
		"a target of no known form":         {"desk", "orders:9000", "write static:host:port"},
		"another machine without TLS":       {"desk", "static:10.0.0.7:9000", "without certificates only this machine is spoken to"},
		"a name of DNS without TLS":         {"desk", "dns:desk.example:9000", "without certificates only this machine is spoken to"},
		"a service of DNS without TLS":      {"desk", "srv:_souk._tcp.desk.example", "without certificates only this machine is spoken to"},
		"a room that cannot have this name": {"Desk!", "static:127.0.0.1:1", "is no name of a room"},
		"a room that is reached already":    {"archive", "static:127.0.0.1:2", "reached already, at static:127.0.0.1:1"},
	} {
		if err := s.Reach(c.room, c.target); err == nil || !strings.Contains(err.Error(), "reach room "+c.room+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Reachable("library", "archive"); err != nil {
		t.Error(err)
	}
	if err := s.Reachable("library", "desk"); err == nil || err.Error() != "no way to desk: neither in this process nor at any address; here are library; reached are archive" {
		t.Errorf("got %v", err)
	}
	everywhere, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), everywhere, rpc.ServeOptions{}); err == nil || !strings.Contains(err.Error(), "without certificates only this machine is spoken to") {
		t.Errorf("served to other machines in the clear: %v", err)
	}
	open := rpc.NewServer(rpc.Options{Log: quiet, Insecure: true})
	reach(t, open, "desk", "static:10.0.0.7:9000")
}

func TestHealthIsToldRoomByRoom(t *testing.T) {
	s := branch(library{})
	at := serve(t, s, listen(t, "127.0.0.1:0"), rpc.ServeOptions{Notice: 200 * time.Millisecond})
	client := healthv1.NewHealthClient(plain(t, at.addr, insecure.NewCredentials()))
	check := func(service string, want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || got.Status != want {
			t.Errorf("%q: %v, %v", service, got.GetStatus(), err)
		}
	}
	for _, service := range []string{"", "library", "kit.rpctest.v1.Probe"} {
		check(service, healthv1.HealthCheckResponse_SERVING)
	}
	s.SetReady("library", false)
	check("library", healthv1.HealthCheckResponse_NOT_SERVING)
	check("", healthv1.HealthCheckResponse_SERVING)
	s.SetReady("library", true)
	watch, err := client.Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.Status != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", got, err)
	}
	at.stop()
	if got, err := watch.Recv(); err != nil || got.Status != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("while it ends: %v, %v", got, err)
	}
}

// The session of docs/network.md: what services there are, what their methods look like, and a call, all with nothing but the
// address and the front door's certificate.
func TestReflectionShowsTheContracts(t *testing.T) {
	dir, addr := guarded(t)
	conn := plain(t, addr, credentials.NewTLS(keys(t, dir, identity.Gateway).ClientConfig("library")))
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	var services []string
	for _, s := range ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().GetService() {
		services = append(services, s.Name)
	}
	if got := strings.Join(services, " "); !strings.Contains(got, "kit.rpctest.v1.Probe") || !strings.Contains(got, "grpc.health.v1.Health") {
		t.Errorf("services: %s", got)
	}
	files := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "kit.rpctest.v1.Probe"},
	}).GetFileDescriptorResponse().GetFileDescriptorProto()
	file := new(descriptorpb.FileDescriptorProto)
	if len(files) == 0 || proto.Unmarshal(files[0], file) != nil || file.Service[0].Method[0].GetName() != "Ask" {
		t.Errorf("the contract is %v", file)
	}
	if got, err := rpctestv1.NewProbeClient(conn).Ask(t.Context(), echo); err != nil || got.Principal != "anonymous" {
		t.Errorf("the call: %v, %v", got, err)
	}
}

func TestATraceJoinsTwoProcesses(t *testing.T) {
	here, there := tracetest.NewSpanRecorder(), tracetest.NewSpanRecorder()
	provider := func(r *tracetest.SpanRecorder) *trace.TracerProvider {
		return trace.NewTracerProvider(trace.WithSpanProcessor(r))
	}
	s := rpc.NewServer(rpc.Options{Log: quiet, Tracer: provider(there)})
	rpctestv1.RegisterProbeServer(s.For("library"), library{})
	at := serve(t, s, listen(t, "127.0.0.1:0"), hasty)
	_, client := reader(t, "static:"+at.addr, rpc.Options{})
	if _, err := client.Ask(t.Context(), echo); err != nil || len(there.Ended()) > 0 {
		t.Errorf("a call without a trace leaves %d spans, %v", len(there.Ended()), err)
	}
	ctx, root := provider(here).Tracer("test").Start(t.Context(), "root")
	if _, err := client.Ask(ctx, echo); err != nil {
		t.Fatal(err)
	}
	root.End()
	spans := there.Ended()
	if len(spans) != 1 || spans[0].Name() != "kit.rpctest.v1.Probe/Ask" || !spans[0].Parent().IsRemote() ||
		spans[0].Parent().SpanID() != root.SpanContext().SpanID() || spans[0].SpanContext().TraceID() != root.SpanContext().TraceID() {
		t.Errorf("spans: %v", spans)
	}
}
