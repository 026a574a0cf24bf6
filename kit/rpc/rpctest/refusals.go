package rpctest

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

func carriesProblems(t *testing.T, b *bench) {
	_, err := b.room.Ask(t.Context(), &rpctestv1.AskRequest{What: "problem"})
	wantSoldOut(t, err)
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("gRPC code %v", status.Code(err))
	}
}

func unwrapsProblems(t *testing.T, b *bench) {
	_, err := b.room.Ask(t.Context(), &rpctestv1.AskRequest{What: "wrapped"})
	wantSoldOut(t, err)
}

func wantSoldOut(t *testing.T, err error) {
	t.Helper()
	got := problem.Of(err)
	if got == nil {
		t.Fatalf("%v carries no problem", err)
	}
	if diff := cmp.Diff(soldOut(), got, cmpopts.IgnoreUnexported(problem.Error{})); diff != "" {
		t.Error(diff)
	}
}

func hidesCauses(t *testing.T, b *bench) {
	for _, what := range []string{"problem", "wrapped", "plain"} {
		_, err := b.room.Ask(t.Context(), &rpctestv1.AskRequest{What: what})
		if errors.Is(err, errPlain) || strings.Contains(err.Error(), "password") || problem.Of(err).Unwrap() != nil {
			t.Errorf("%s: the cause came along: %v", what, err)
		}
	}
}

func hidesPlainErrors(t *testing.T, b *bench) {
	_, err := b.room.Ask(t.Context(), &rpctestv1.AskRequest{What: "plain"})
	wantInternal(t, err)
}

func recovers(t *testing.T, b *bench) {
	_, err := b.room.Ask(t.Context(), &rpctestv1.AskRequest{What: "panic"})
	wantInternal(t, err)
	answers(t, b)
}

func refusesNothing(t *testing.T, b *bench) {
	_, err := b.room.Ask(t.Context(), &rpctestv1.AskRequest{What: "nothing"})
	wantInternal(t, err)
}

func wantInternal(t *testing.T, err error) {
	t.Helper()
	if p := problem.Of(err); p == nil || p.Kind != problem.Internal || p.Code != "internal" || status.Code(err) != codes.Internal {
		t.Errorf("got %v", err)
	}
}

// ask calls the four methods of one access each and names what they answer.
func ask(ctx context.Context, c rpctestv1.ProbeClient) string {
	in := &rpctestv1.AskRequest{What: "echo"}
	var said []string
	for _, call := range []func(context.Context, *rpctestv1.AskRequest, ...grpc.CallOption) (*rpctestv1.AskResponse, error){
		c.Ask, c.AskOwner, c.AskStaff, c.AskService,
	} {
		if _, err := call(ctx, in); err != nil {
			said = append(said, problem.Of(err).Code)
			continue
		}
		said = append(said, "ok")
	}
	return strings.Join(said, " ")
}

func admitsStrangers(t *testing.T, b *bench) {
	want(t, ask(t.Context(), b.edge), "ok credentials_required credentials_required not_found")
}

func admitsGuests(t *testing.T, b *bench) {
	want(t, ask(from(t.Context(), guest), b.edge), "ok ok staff_only not_found")
}

func admitsStaff(t *testing.T, b *bench) {
	want(t, ask(from(t.Context(), staff), b.edge), "ok ok ok not_found")
}

func admitsRooms(t *testing.T, b *bench) {
	want(t, ask(t.Context(), b.room), "ok ok staff_only ok")
}

func refusesOtherRooms(t *testing.T, b *bench) {
	other := rpctestv1.NewProbeClient(b.place.Dial(Stranger, Room))
	want(t, ask(t.Context(), other), "caller_not_allowed caller_not_allowed staff_only caller_not_allowed")
	_, err := other.AskService(t.Context(), &rpctestv1.AskRequest{What: "echo"})
	if p := problem.Of(err); status.Code(err) != codes.PermissionDenied || p.Meta["caller"] != Stranger {
		t.Errorf("got %v", err)
	}
}

func refusesForgedRooms(t *testing.T, b *bench) {
	forged := from(t.Context(), auth.Principal{Kind: auth.Service, ID: "orders"})
	want(t, ask(forged, b.edge), strings.TrimSpace(strings.Repeat("credentials_invalid ", 4)))
	want(t, ask(from(t.Context(), staff), b.room), "ok ok staff_only ok")
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("public, owner, staff, service methods answer\n\t%s, not\n\t%s", got, want)
	}
}

func wantsKey(t *testing.T, b *bench) {
	in := &rpctestv1.AskRequest{What: "echo"}
	_, err := b.edge.AskOnce(from(t.Context(), staff), in)
	if p := problem.Of(err); p == nil || p.Code != "idempotency_key_required" || p.Kind != problem.Invalid || p.Violations[0].Field != "Idempotency-Key" {
		t.Errorf("no key: %v", err)
	}
	_, err = b.edge.AskOnce(from(t.Context(), staff, rpc.KeyIdempotency, strings.Repeat("k", 65)), in)
	if !problem.Is(err, "idempotency_key_invalid") {
		t.Errorf("a key too long: %v", err)
	}
	if _, err = b.edge.AskOnce(from(t.Context(), guest), in); !problem.Is(err, "staff_only") {
		t.Errorf("who may not call is told so first: %v", err)
	}
	if _, err = b.edge.AskOnce(from(t.Context(), staff, rpc.KeyIdempotency, "k1"), in); err != nil {
		t.Errorf("with a key: %v", err)
	}
}

func refusesTransactions(t *testing.T, b *bench) {
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "caller.db"), sqlstore.Options{Name: Caller})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var panicked any
	_ = store.Update(t.Context(), func(tx sqlstore.Tx) error {
		defer func() { panicked = recover() }()
		_, err := b.room.Ask(tx.Context(), &rpctestv1.AskRequest{What: "echo"})
		return err
	})
	if text, _ := panicked.(string); !strings.Contains(text, "inside a transaction") {
		t.Errorf("panicked with %v", panicked)
	}
}

func refusesUnknown(t *testing.T, b *bench) {
	for _, name := range []string{"/kit.rpctest.v1.Probe/Fly", "/kit.rpctest.v1.Nobody/Ask"} {
		err := b.place.Dial(Caller, Room).Invoke(t.Context(), name, &rpctestv1.AskRequest{}, &rpctestv1.AskResponse{})
		if status.Code(err) != codes.Unimplemented || !problem.Is(err, "unknown_method") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func missesRoom(t *testing.T, b *bench) {
	_, err := rpctestv1.NewProbeClient(b.place.Dial(Caller, Absent)).Ask(t.Context(), &rpctestv1.AskRequest{What: "echo"})
	if p := problem.Of(err); status.Code(err) != codes.Unavailable || p.Code != "not_ready" || p.RetryAfter <= 0 {
		t.Errorf("got %v", err)
	}
}
