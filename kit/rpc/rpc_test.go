package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/rpc/rpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func TestInProcess(t *testing.T) {
	rpctest.Run(t, func(t *testing.T, register func(grpc.ServiceRegistrar)) rpctest.Placement {
		s := rpc.NewServer(rpc.Options{Log: quiet})
		register(s.For(rpctest.Room))
		return s
	})
}

// library answers what it is asked, or does what the test says.
type library struct {
	rpctestv1.UnimplementedProbeServer
	do func(context.Context) (*rpctestv1.AskResponse, error)
}

func (l library) Ask(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	if l.do != nil {
		return l.do(ctx)
	}
	return &rpctestv1.AskResponse{Text: in.Text, Items: in.Items}, nil
}

func (l library) AskAgain(ctx context.Context, in *rpctestv1.AskRequest) (*rpctestv1.AskResponse, error) {
	return l.Ask(ctx, in)
}

func ExampleServer() {
	server := rpc.NewServer(rpc.Options{})
	rpctestv1.RegisterProbeServer(server.For("library"), library{})
	client := rpctestv1.NewProbeClient(server.Dial("desk", "library"))
	answer, err := client.Ask(context.Background(), &rpctestv1.AskRequest{Text: "Middlemarch"})
	fmt.Println(answer.GetText(), err)
	// Output: Middlemarch <nil>
}

func TestTheCauseIsLoggedWithTheRequest(t *testing.T) {
	var log bytes.Buffer
	client := open(rpc.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, func(context.Context) (*rpctestv1.AskResponse, error) {
		return nil, errors.New("disk on fire")
	})
	if _, err := client.Ask(rpc.WithRequestID(t.Context(), "req_7"), &rpctestv1.AskRequest{}); err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"disk on fire", "req_7", "room=library", "/kit.rpctest.v1.Probe/Ask"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("%q is missing in %s", part, &log)
		}
	}
}

func TestCallsAreCountedByRoomMethodAndCode(t *testing.T) {
	reg := prometheus.NewRegistry()
	fail := false
	client := open(rpc.Options{Log: quiet, Registerer: reg}, func(context.Context) (*rpctestv1.AskResponse, error) {
		if fail {
			return nil, problem.New(problem.NotFound, "not_found", "No.")
		}
		return &rpctestv1.AskResponse{}, nil
	})
	for range 3 {
		client.Ask(t.Context(), &rpctestv1.AskRequest{})
		fail = true
	}
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP souk_rpc_calls_total Calls served, by room, method and gRPC code.
# TYPE souk_rpc_calls_total counter
souk_rpc_calls_total{code="NotFound",method="Ask",room="library"} 2
souk_rpc_calls_total{code="OK",method="Ask",room="library"} 1
souk_rpc_calls_total{code="OK",method="AskAgain",room="library"} 0
souk_rpc_calls_total{code="OK",method="AskOnce",room="library"} 0
souk_rpc_calls_total{code="OK",method="AskOwner",room="library"} 0
souk_rpc_calls_total{code="OK",method="AskService",room="library"} 0
souk_rpc_calls_total{code="OK",method="AskStaff",room="library"} 0
`), "souk_rpc_calls_total")
	if err != nil {
		t.Error(err)
	}
}

func TestASampledCallIsATreeOfSpans(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(recorder))
	ctx, root := provider.Tracer("test").Start(t.Context(), "root")
	client := open(rpc.Options{Log: quiet}, nil)
	if _, err := client.Ask(ctx, &rpctestv1.AskRequest{}); err != nil {
		t.Fatal(err)
	}
	root.End()
	spans := recorder.Ended()
	if len(spans) != 2 || spans[0].Name() != "kit.rpctest.v1.Probe/Ask" || spans[0].Parent().SpanID() != root.SpanContext().SpanID() {
		t.Errorf("spans: %v", spans)
	}
}

// A run that nobody here waits for any more goes on in the trace of whoever began it, in a process that may be gone.
func TestACallWithinATraceThatWasBegunElsewhereIsRecordedHere(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	client := open(rpc.Options{Log: quiet, Tracer: trace.NewTracerProvider(trace.WithSpanProcessor(recorder))}, nil)
	within := func(flags oteltrace.TraceFlags) context.Context {
		return oteltrace.ContextWithRemoteSpanContext(t.Context(), oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
			TraceID: oteltrace.TraceID{1}, SpanID: oteltrace.SpanID{2}, TraceFlags: flags, Remote: true,
		}))
	}
	for _, flags := range []oteltrace.TraceFlags{0, oteltrace.FlagsSampled} {
		if _, err := client.Ask(within(flags), &rpctestv1.AskRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if spans := recorder.Ended(); len(spans) != 1 || spans[0].Parent().SpanID() != (oteltrace.SpanID{2}) {
		t.Errorf("spans: %v, want that of the call whose trace is recorded", spans)
	}
}

func TestARemovedRoomEndsItsCallsThenIsNotReady(t *testing.T) {
	server := rpc.NewServer(rpc.Options{Log: quiet})
	inside, leave := make(chan bool), make(chan bool)
	rpctestv1.RegisterProbeServer(server.For("library"), library{do: func(context.Context) (*rpctestv1.AskResponse, error) {
		inside <- true
		<-leave
		return &rpctestv1.AskResponse{}, nil
	}})
	client := rpctestv1.NewProbeClient(server.Dial("desk", "library"))
	answered := make(chan error)
	go func() {
		_, err := client.Ask(t.Context(), &rpctestv1.AskRequest{})
		answered <- err
	}()
	<-inside
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := server.Remove(short, "library"); !problem.Is(err, "drain_timeout") {
		t.Errorf("removed under a call: %v", err)
	}
	if _, err := client.Ask(t.Context(), &rpctestv1.AskRequest{}); !problem.Is(err, "not_ready") {
		t.Errorf("a later call: %v", err)
	}
	close(leave)
	if err := <-answered; err != nil {
		t.Errorf("the call inside: %v", err)
	}
}

func TestAServiceWithoutARuleIsRefused(t *testing.T) {
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "grpc.health.v1.Health/Check") {
			t.Errorf("panicked with %s", v)
		}
	}()
	desc := &grpc.ServiceDesc{ServiceName: "grpc.health.v1.Health", Methods: []grpc.MethodDesc{{MethodName: "Check"}}}
	rpc.NewServer(rpc.Options{}).For("library").RegisterService(desc, nil)
}

func TestAnyProblemCrossesTheWireWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zé“_. ]{0,12}`)
		p := problem.New(problem.Kind(rapid.IntRange(0, 11).Draw(t, "kind")), "c"+text.Draw(t, "code"), text.Draw(t, "message"))
		for range rapid.IntRange(0, 2).Draw(t, "violations") {
			p.On(text.Draw(t, "field"), text.Draw(t, "vcode"), text.Draw(t, "vmessage"))
		}
		for range rapid.IntRange(0, 2).Draw(t, "meta") {
			p.With(text.Draw(t, "key"), text.Draw(t, "value"))
		}
		p.After(time.Duration(rapid.IntRange(0, 5000).Draw(t, "after")) * time.Millisecond)
		got := rpc.FromStatus(rpc.ToStatus(p).Err())
		if diff := cmp.Diff(p, got, cmpopts.IgnoreUnexported(problem.Error{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAForeignStatusKeepsItsKindAndNotItsText(t *testing.T) {
	p := rpc.FromStatus(status.Error(codes.Unavailable, "dial tcp 10.0.0.7:443: refused"))
	if p.Kind != problem.Unavailable || p.Code != "not_ready" || strings.Contains(p.Message, "10.0.0.7") {
		t.Errorf("got %v", p)
	}
	if rpc.FromStatus(nil) != nil || rpc.ToStatus(nil) != nil {
		t.Error("nothing is something")
	}
}

func open(o rpc.Options, do func(context.Context) (*rpctestv1.AskResponse, error)) rpctestv1.ProbeClient {
	server := rpc.NewServer(o)
	rpctestv1.RegisterProbeServer(server.For("library"), library{do: do})
	return rpctestv1.NewProbeClient(server.Dial("desk", "library"))
}

// logged is a log that a test reads.
func logged(to io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }
