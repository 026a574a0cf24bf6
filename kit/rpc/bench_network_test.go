package rpc_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/rpc"
)

// BenchmarkNetwork is a call to another process beside a call of grpc-go's own with the same TLS and the same messages, in turns
// so that both meet the same weather; "ratio" is ours to grpc-go's, in time and in CPU, of both processes together.
func BenchmarkNetwork(b *testing.B) {
	dir := b.TempDir()
	here, there := keys(b, dir, "library"), keys(b, dir, "caller")
	s := rpc.NewServer(rpc.Options{Log: quiet, Keys: here, Registerer: prometheus.NewRegistry()})
	rpctestv1.RegisterProbeServer(s.For("library"), library{})
	at := serve(b, s, listen(b, "127.0.0.1:0"), hasty)
	_, ours := reader(b, "static:"+at.addr, rpc.Options{Keys: there, Registerer: prometheus.NewRegistry()})

	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(here.ServerConfig("h2"))))
	rpctestv1.RegisterProbeServer(g, library{})
	l := listen(b, "127.0.0.1:0")
	go g.Serve(l)
	b.Cleanup(g.Stop)
	bare := rpctestv1.NewProbeClient(dialled(b, l, credentials.NewTLS(there.ClientConfig("library"))))

	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) { compare(b, callers, bare, ours) })
	}
}

func dialled(b *testing.B, l net.Listener, c credentials.TransportCredentials) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(c))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

// turn is how many calls are made one way before the other way is taken.
const turn = 2000

func compare(b *testing.B, callers int, bare, ours rpctestv1.ProbeClient) {
	var took, cpu [2]time.Duration
	calls := 0
	for b.Loop() {
		calls += turn
		for way, client := range []rpctestv1.ProbeClient{bare, ours} {
			began, burnt := time.Now(), burning(b)
			callTogether(b, client, callers)
			took[way] += time.Since(began)
			cpu[way] += burning(b) - burnt
		}
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(calls) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each(took[0]), "ns/grpc-call")
	b.ReportMetric(each(took[1]), "ns/souk-call")
	b.ReportMetric(float64(took[1])/float64(took[0]), "ratio-time")
	b.ReportMetric(each(cpu[0]), "cpu-ns/grpc-call")
	b.ReportMetric(each(cpu[1]), "cpu-ns/souk-call")
	b.ReportMetric(float64(cpu[1])/float64(cpu[0]), "ratio-cpu")
}

func callTogether(b *testing.B, client rpctestv1.ProbeClient, callers int) {
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range turn / callers {
				ctx, cancel := context.WithTimeout(context.Background(), rpc.TimeoutDefault/2)
				_, err := client.Ask(ctx, request)
				cancel()
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// burning is the CPU time that this process has used.
func burning(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
