package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/rpc"
)

var request = &rpctestv1.AskRequest{What: "echo", Text: "hello", Items: []string{"a", "b", "c"}}

// BenchmarkCopy is the part of a call that a copy of request and answer costs.
func BenchmarkCopy(b *testing.B) {
	b.ReportAllocs()
	answer := &rpctestv1.AskResponse{Text: "hello", Items: []string{"a", "b", "c"}}
	for b.Loop() {
		proto.Merge(new(rpctestv1.AskRequest), request)
		proto.Merge(new(rpctestv1.AskResponse), answer)
	}
}

// BenchmarkDial is a call from room to room within a request that has a
// deadline and can be cancelled, metrics on, not sampled.
func BenchmarkDial(b *testing.B) {
	client := open(rpc.Options{Registerer: prometheus.NewRegistry()}, nil)
	ctx, cancel := context.WithTimeout(context.Background(), rpc.TimeoutDefault*60)
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Ask(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEdge is a call from the front door with all its metadata.
func BenchmarkEdge(b *testing.B) {
	server := rpc.NewServer(rpc.Options{Registerer: prometheus.NewRegistry()})
	rpctestv1.RegisterProbeServer(server.For("library"), library{})
	client := rpctestv1.NewProbeClient(server.Edge("library"))
	ctx, cancel := context.WithTimeout(context.Background(), rpc.TimeoutDefault*60)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.Pairs(
		rpc.KeyPrincipal, auth.Principal{Kind: auth.Bearer, ID: "crt_1", Shop: "main"}.Encode(),
		rpc.KeyRequestID, "req_1", rpc.KeyIdempotency, "k1",
		rpc.KeyDigest, "beef000000000000000000000000000000000000000000000000000000000000"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Ask(ctx, request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAboveCopy is what a call within the process costs beyond copying its request and its answer: both in turns, in CPU
// time, so that a busy machine does not tell.
func BenchmarkAboveCopy(b *testing.B) {
	client := open(rpc.Options{Registerer: prometheus.NewRegistry()}, nil)
	ctx, cancel := context.WithTimeout(context.Background(), rpc.TimeoutDefault*60)
	defer cancel()
	answer := &rpctestv1.AskResponse{Text: "hello", Items: []string{"a", "b", "c"}}
	ways := []func(){
		func() {
			proto.Merge(new(rpctestv1.AskRequest), request)
			proto.Merge(new(rpctestv1.AskResponse), answer)
		},
		func() {
			if _, err := client.Ask(ctx, request); err != nil {
				b.Error(err)
			}
		},
	}
	var cpu [2]time.Duration
	calls := 0
	for b.Loop() {
		calls += turn
		for way, do := range ways {
			burnt := burning(b)
			for range turn {
				do()
			}
			cpu[way] += burning(b) - burnt
		}
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(calls) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each(cpu[0]), "cpu-ns/copy")
	b.ReportMetric(each(cpu[1]), "cpu-ns/call")
	b.ReportMetric(each(cpu[1]-cpu[0]), "cpu-ns/above")
}
