package rpctest

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
)

// short is a deadline that passes while a test waits for it.
const short = 50 * time.Millisecond

// from is the context of a call as the gateway makes it.
func from(ctx context.Context, p auth.Principal, more ...string) context.Context {
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(append([]string{rpc.KeyPrincipal, p.Encode()}, more...)...))
}

var (
	guest = auth.Principal{Kind: auth.Bearer, ID: "crt_1", Shop: "main"}
	staff = auth.Principal{Kind: auth.Staff, ID: "key", Shop: "main"}
)

const digest = "beef000000000000000000000000000000000000000000000000000000000000"

func carriesMetadata(t *testing.T, b *bench) {
	ctx := from(t.Context(), guest, rpc.KeyRequestID, "req_1", rpc.KeyIdempotency, "k1", rpc.KeyDigest, digest, rpc.KeyOnBehalfOf, "customer:c1")
	got, err := b.edge.AskOwner(ctx, &rpctestv1.AskRequest{What: "echo"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Principal != "bearer:crt_1@main" || got.RequestId != "req_1" || got.IdempotencyKey != "k1 beef" || got.OnBehalfOf != "customer:c1" {
		t.Errorf("the server saw %v", got)
	}
	ctx = rpc.WithIdempotencyKey(rpc.WithOnBehalfOf(rpc.WithRequestID(t.Context(), "req_2"), "bearer:crt_2"), "ord_1/pay/1", [32]byte{0xca, 0xfe})
	got, err = b.room.Ask(ctx, &rpctestv1.AskRequest{What: "echo"})
	if err != nil || got.RequestId != "req_2" || got.IdempotencyKey != "ord_1/pay/1 cafe" || got.OnBehalfOf != "bearer:crt_2" {
		t.Errorf("the server saw %v, %v", got, err)
	}
}

func carriesOtherMetadata(t *testing.T, b *bench) {
	ctx := metadata.AppendToOutgoingContext(t.Context(), "if-match", `"v7"`)
	for name, client := range map[string]rpctestv1.ProbeClient{"room": b.room, "edge": b.edge} {
		got, err := client.Ask(ctx, &rpctestv1.AskRequest{What: "metadata", Text: "if-match"})
		if err != nil || len(got.Items) != 1 || got.Items[0] != `"v7"` {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func inherits(t *testing.T, b *bench) {
	got, err := b.edge.Ask(from(t.Context(), guest, rpc.KeyRequestID, "req_1"), &rpctestv1.AskRequest{What: "inner"})
	if err != nil || got.Principal != "service:"+Room+"@main" || got.RequestId != "req_1" || got.OnBehalfOf != "bearer:crt_1" {
		t.Fatalf("the inner call saw %v, %v", got, err)
	}
}

func doesNotInheritKey(t *testing.T, b *bench) {
	got, err := b.edge.Ask(from(t.Context(), guest, rpc.KeyIdempotency, "k1"), &rpctestv1.AskRequest{What: "inner"})
	if err != nil || got.IdempotencyKey != "" {
		t.Fatalf("the inner call saw %v, %v", got, err)
	}
}

func carriesHeaders(t *testing.T, b *bench) {
	var md metadata.MD
	if _, err := b.edge.Ask(t.Context(), &rpctestv1.AskRequest{What: "headers"}, grpc.Header(&md)); err != nil {
		t.Fatal(err)
	}
	code, header := rpc.Response(md)
	if code != 202 || header.Get("Location") != "/api/things/1" || header.Get("ETag") != `"v7"` {
		t.Errorf("got %d %v", code, header)
	}
}

func carriesHeadersOfRefusal(t *testing.T, b *bench) {
	var md metadata.MD
	_, err := b.edge.Ask(t.Context(), &rpctestv1.AskRequest{What: "headers and fail"}, grpc.Header(&md))
	if _, header := rpc.Response(md); !problem.Is(err, "in_progress") || header.Get("Location") == "" {
		t.Errorf("got %v %v", err, header)
	}
}

func endsAtDeadline(t *testing.T, b *bench) {
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err := b.room.Ask(ctx, &rpctestv1.AskRequest{What: "wait"})
	wantEnd(t, b, err, codes.DeadlineExceeded, context.DeadlineExceeded)
}

func boundsEveryCall(t *testing.T, b *bench) {
	got, err := b.room.Ask(context.Background(), &rpctestv1.AskRequest{What: "echo"})
	if left := time.Duration(got.GetDeadlineMicros()) * time.Microsecond; err != nil || left <= 0 || left > rpc.TimeoutDefault {
		t.Errorf("%v left, %v", left, err)
	}
}

func endsWhenCanceled(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(short, cancel)
	_, err := b.room.Ask(ctx, &rpctestv1.AskRequest{What: "wait"})
	wantEnd(t, b, err, codes.Canceled, context.Canceled)
}

func endsDerived(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(short, cancel)
	_, err := b.room.Ask(ctx, &rpctestv1.AskRequest{What: "derive"})
	wantEnd(t, b, err, codes.Canceled, context.Canceled)
}

// wantEnd checks what both sides heard of a call that was ended.
func wantEnd(t *testing.T, b *bench, err error, code codes.Code, why error) {
	t.Helper()
	if status.Code(err) != code || problem.Of(err) == nil || problem.Of(err).Kind != problem.Timeout {
		t.Errorf("the caller hears %v (%v), not %v", err, status.Code(err), code)
	}
	select {
	case ended := <-b.probe.ended:
		if !errors.Is(ended, why) {
			t.Errorf("the server hears %v, not %v", ended, why)
		}
	case <-time.After(waitMax):
		t.Error("the server hears nothing")
	}
}

func doesNotBegin(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.room.Ask(ctx, &rpctestv1.AskRequest{What: "scribble", Items: []string{"a"}})
	if status.Code(err) != codes.Canceled || b.probe.kept() != nil {
		t.Errorf("got %v; the server did %v", err, b.probe.kept())
	}
}
