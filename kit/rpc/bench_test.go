package rpc_test

import (
	"context"
	"testing"

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
