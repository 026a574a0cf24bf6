package rpc_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
)

// hasty ends at once, whoever is still being served.
var hasty = rpc.ServeOptions{Notice: time.Millisecond, Drain: time.Millisecond}

// branch is a process with the library.
func branch(l library) *rpc.Server {
	s := rpc.NewServer(rpc.Options{Log: quiet})
	rpctestv1.RegisterProbeServer(s.For("library"), l)
	return s
}

// reader is a process that reaches the library at a target.
func reader(t testing.TB, target string, o rpc.Options) (*rpc.Server, rpctestv1.ProbeClient) {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet
	}
	s := rpc.NewServer(o)
	reach(t, s, "library", target)
	return s, rpctestv1.NewProbeClient(s.Dial("caller", "library"))
}

// waiting is a library whose calls tell that they are inside and stay until they are let go or over.
func waiting() (l library, inside chan bool, leave chan bool) {
	inside, leave = make(chan bool, 100), make(chan bool)
	return library{do: func(ctx context.Context) (*rpctestv1.AskResponse, error) {
		inside <- true
		select {
		case <-leave:
			return &rpctestv1.AskResponse{Text: "late"}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}, inside, leave
}

var echo = &rpctestv1.AskRequest{Text: "hello"}

func TestAServerThatStopsUnderACall(t *testing.T) {
	for _, c := range []struct {
		name string
		call func(rpctestv1.ProbeClient, context.Context) (*rpctestv1.AskResponse, error)
		text string // of the answer
		code string // of the problem
	}{
		{
			"a call that may be heard twice is made again to the next one",
			func(p rpctestv1.ProbeClient, ctx context.Context) (*rpctestv1.AskResponse, error) {
				return p.AskAgain(ctx, echo)
			}, "hello", "",
		},
		{
			"of any other it is said that its outcome is unknown",
			func(p rpctestv1.ProbeClient, ctx context.Context) (*rpctestv1.AskResponse, error) {
				return p.Ask(ctx, echo)
			}, "", "connection_lost",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, inside, _ := waiting()
			first := serve(t, branch(l), listen(t, "127.0.0.1:0"), hasty)
			_, client := reader(t, "static:"+first.addr, rpc.Options{})
			var restarted sync.WaitGroup
			restarted.Go(func() {
				<-inside
				first.stop()
				<-first.ended
				serve(t, branch(library{}), listen(t, first.addr), hasty)
			})
			got, err := c.call(client, t.Context())
			restarted.Wait()
			if got.GetText() != c.text || c.code == "" && err != nil || c.code != "" && !problem.Is(err, c.code) {
				t.Errorf("got %v, %v", got, err)
			}
			if c.code != "" && (status.Code(err) != codes.Unavailable || problem.Of(err).Kind != problem.Timeout) {
				t.Errorf("it is a %v, gRPC's %v", problem.Of(err).Kind, status.Code(err))
			}
		})
	}
}

func TestACallThatWasNeverSentIsMadeWhenTheServerIsBack(t *testing.T) {
	first := serve(t, branch(library{}), listen(t, "127.0.0.1:0"), hasty)
	_, client := reader(t, "static:"+first.addr, rpc.Options{})
	if _, err := client.Ask(t.Context(), echo); err != nil {
		t.Fatal(err)
	}
	first.stop()
	<-first.ended
	var restarted sync.WaitGroup
	restarted.Go(func() {
		time.Sleep(200 * time.Millisecond) // the call comes while nobody is there
		serve(t, branch(library{}), listen(t, first.addr), hasty)
	})
	defer restarted.Wait()
	if got, err := client.Ask(t.Context(), echo); err != nil || got.Text != "hello" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnAbsentRoomIsNotReadyWithinABound(t *testing.T) {
	_, client := reader(t, "static:"+nobody(t), rpc.Options{Patience: 300 * time.Millisecond})
	began := time.Now()
	_, err := client.Ask(context.Background(), echo)
	p := problem.Of(err)
	if p == nil || p.Code != "not_ready" || p.RetryAfter <= 0 || p.Message != "The library service is not ready; try again in a moment." {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > rpc.TimeoutDefault/2 {
		t.Errorf("it took %v", took)
	}
	short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := client.Ask(short, echo); !problem.Is(err, "not_ready") || short.Err() != nil && time.Since(began) > rpc.TimeoutDefault {
		t.Errorf("with a short deadline: %v", err)
	}
}

func TestRetriesHaveABudget(t *testing.T) {
	reg := prometheus.NewRegistry()
	at := serve(t, branch(closed(nil)), listen(t, "127.0.0.1:0"), hasty)
	_, client := reader(t, "static:"+at.addr, rpc.Options{Registerer: reg})
	const calls = 300
	began := time.Now()
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if _, err := client.AskAgain(t.Context(), echo); !problem.Is(err, "closed") {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	saved := 5 + int(time.Since(began).Seconds()*5) // what a quiet room may retry
	if retries := counted(t, reg, "souk_rpc_remote_retries_total"); retries < 1 || int(retries) > calls/5+saved+1 {
		t.Errorf("%v retries of %d calls", retries, calls)
	}
}

func TestARoomThatIsGoneForLongIsNotWaitedFor(t *testing.T) {
	reg := prometheus.NewRegistry()
	_, client := reader(t, "static:"+nobody(t), rpc.Options{Registerer: reg, Patience: 100 * time.Millisecond})
	for range 20 { // the first waits for them all
		if _, err := client.Ask(t.Context(), echo); !problem.Is(err, "not_ready") {
			t.Errorf("got %v", err)
		}
	}
	if retries := counted(t, reg, "souk_rpc_remote_retries_total"); retries != 0 {
		t.Errorf("%v retries, though nobody came", retries)
	}
}

// counted is the sum of a metric over its labels.
func counted(t testing.TB, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// closed is a library that answers every call with unavailable.
func closed(heard *atomic.Int32) library {
	return library{do: func(context.Context) (*rpctestv1.AskResponse, error) {
		if heard != nil {
			heard.Add(1)
		}
		return nil, problem.New(problem.Unavailable, "closed", "We are closed.").After(time.Millisecond)
	}}
}

func TestAnAnswerOfUnavailableIsAskedAgainOnceAtMost(t *testing.T) {
	for name, c := range map[string]struct {
		call func(rpctestv1.ProbeClient, context.Context, *rpctestv1.AskRequest) error
		want int32
	}{
		"a call that may be heard twice": {func(p rpctestv1.ProbeClient, ctx context.Context, in *rpctestv1.AskRequest) error {
			_, err := p.AskAgain(ctx, in)
			return err
		}, 2},
		"any other": {func(p rpctestv1.ProbeClient, ctx context.Context, in *rpctestv1.AskRequest) error {
			_, err := p.Ask(ctx, in)
			return err
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var heard atomic.Int32
			at := serve(t, branch(closed(&heard)), listen(t, "127.0.0.1:0"), hasty)
			_, client := reader(t, "static:"+at.addr, rpc.Options{})
			if err := c.call(client, t.Context(), echo); !problem.Is(err, "closed") || heard.Load() != c.want {
				t.Errorf("heard %d times, then %v", heard.Load(), err)
			}
		})
	}
}

func TestACutConnectionIsMadeAnew(t *testing.T) {
	l, inside, _ := waiting()
	at := serve(t, branch(l), listen(t, "127.0.0.1:0"), hasty)
	k := newLink(t, at.addr)
	_, client := reader(t, "static:"+k.addr(), rpc.Options{})
	ended := make(chan error, 1)
	go func() {
		_, err := client.Ask(t.Context(), echo)
		ended <- err
	}()
	<-inside
	k.cut()
	if err := <-ended; !problem.Is(err, "connection_lost") {
		t.Errorf("the call on the cut connection: %v", err)
	}
	go client.Ask(t.Context(), echo)
	<-inside // over a new connection
}

func TestASilentConnectionEndsAtTheDeadlineAndIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("a silent connection is found out after a quarter of a minute")
	}
	t.Parallel()
	at := serve(t, branch(library{}), listen(t, "127.0.0.1:0"), hasty)
	k := newLink(t, at.addr)
	_, client := reader(t, "static:"+k.addr(), rpc.Options{})
	if _, err := client.Ask(t.Context(), echo); err != nil {
		t.Fatal(err)
	}
	k.silence()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := client.Ask(short, echo); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("on a silent connection: %v", err)
	}
	bound, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := client.AskAgain(bound, echo)
		if err == nil {
			return // over a new connection
		}
		if bound.Err() != nil {
			t.Fatalf("a minute later: %v", err)
		}
	}
}

func TestMessagesHaveABound(t *testing.T) {
	big := strings.Repeat("x", rpc.MessageMax)
	at := serve(t, branch(library{do: func(context.Context) (*rpctestv1.AskResponse, error) {
		return &rpctestv1.AskResponse{Text: big}, nil
	}}), listen(t, "127.0.0.1:0"), hasty)
	_, client := reader(t, "static:"+at.addr, rpc.Options{})
	for name, in := range map[string]*rpctestv1.AskRequest{"request": {Text: big}, "answer": echo} {
		_, err := client.Ask(t.Context(), in)
		if p := problem.Of(err); p == nil || p.Kind != problem.TooLarge || p.Code != "message_too_large" {
			t.Errorf("too large a %s: %.200v", name, err)
		}
	}
	whole := serve(t, branch(library{}), listen(t, "127.0.0.1:0"), hasty)
	_, client = reader(t, "static:"+whole.addr, rpc.Options{})
	if got, err := client.Ask(t.Context(), &rpctestv1.AskRequest{Text: big[:16<<20]}); err != nil || len(got.Text) != 16<<20 {
		t.Errorf("16 MiB: %d bytes, %.200v", len(got.GetText()), err)
	}
}

func TestServingEndsWithinItsBound(t *testing.T) {
	l, inside, leave := waiting()
	at := serve(t, branch(l), listen(t, "127.0.0.1:0"), rpc.ServeOptions{Notice: time.Millisecond, Drain: time.Minute})
	_, client := reader(t, "static:"+at.addr, rpc.Options{})
	answered := make(chan string, 1)
	go func() {
		got, err := client.Ask(t.Context(), echo)
		if err != nil {
			t.Error(err)
		}
		answered <- got.GetText()
	}()
	<-inside
	at.stop()
	for closed := false; !closed; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", at.addr)
		if closed = err != nil; !closed {
			conn.Close()
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := client.Ask(short, echo); !problem.Is(err, "not_ready") {
		t.Errorf("a call that comes while it ends: %v", err)
	}
	close(leave)
	if text := <-answered; text != "late" {
		t.Errorf("the call under way: %q", text)
	}
	if err := <-at.ended; err != nil {
		t.Error(err)
	}
	l, inside, _ = waiting()
	at = serve(t, branch(l), listen(t, "127.0.0.1:0"), hasty)
	_, client = reader(t, "static:"+at.addr, rpc.Options{})
	go client.Ask(t.Context(), echo)
	<-inside
	at.stop()
	if err := <-at.ended; !problem.Is(err, "drain_timeout") {
		t.Errorf("over its bound: %v", err)
	}
}

func TestRemoteCallsAndConnectionsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	at := serve(t, branch(library{}), listen(t, "127.0.0.1:0"), hasty)
	s, client := reader(t, "static:"+at.addr, rpc.Options{Registerer: reg})
	if _, err := client.Ask(t.Context(), echo); err != nil {
		t.Fatal(err)
	}
	err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP souk_rpc_connections Connections to the processes of a room, by state.
# TYPE souk_rpc_connections gauge
souk_rpc_connections{room="library",state="connecting"} 0
souk_rpc_connections{room="library",state="ready"} 1
# HELP souk_rpc_remote_calls_total Calls made over the network, by the room called, method and gRPC code.
# TYPE souk_rpc_remote_calls_total counter
souk_rpc_remote_calls_total{code="OK",method="Ask",room="library"} 1
# HELP souk_rpc_remote_in_flight Calls over the network that are not answered yet.
# TYPE souk_rpc_remote_in_flight gauge
souk_rpc_remote_in_flight{room="library"} 0
`), "souk_rpc_connections", "souk_rpc_remote_calls_total", "souk_rpc_remote_in_flight")
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if open := counted(t, reg, "souk_rpc_connections"); open != 0 {
		t.Errorf("%v connections when all are closed", open)
	}
}
