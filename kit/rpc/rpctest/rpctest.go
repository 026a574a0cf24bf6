// Package rpctest is the specification of a connection between rooms: what a
// caller may rely on whether the other room lives in this process or beyond a
// network. Every way of placing rooms passes it.
package rpctest

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
)

// The rooms of the suite.
const (
	Room     = "probe"    // serves kit.rpctest.v1.Probe
	Caller   = "caller"   // asks it
	Stranger = "stranger" // asks it, and may not
	Absent   = "absent"   // is not there
)

// Placement is one way of placing the rooms, open and ready.
type Placement interface {
	// Dial connects one room to another.
	Dial(caller, room string) grpc.ClientConnInterface
	// Edge connects the front door to a room.
	Edge(room string) grpc.ClientConnInterface
}

// Open places Room, whose services register adds, and waits until it answers;
// what it opened it closes by t.Cleanup.
type Open func(t *testing.T, register func(grpc.ServiceRegistrar)) Placement

// Run runs the suite over one way of placing rooms.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"an answer comes back", answers},
		{"what was left in the reply before is gone", replacesReply},
		{"request and answer share no memory", sharesNothing},
		{"context values stay at home", hidesValues},
		{"the metadata of a call crosses", carriesMetadata},
		{"metadata that rpc does not know crosses, one call far", carriesOtherMetadata},
		{"an inner call inherits request, shop and on-behalf-of", inherits},
		{"an idempotency key is not inherited", doesNotInheritKey},
		{"the handler's status and headers come back", carriesHeaders},
		{"headers come back with a refusal", carriesHeadersOfRefusal},
		{"a deadline crosses and ends the call", endsAtDeadline},
		{"a call without a deadline gets one", boundsEveryCall},
		{"a cancellation crosses and ends the call", endsWhenCanceled},
		{"a call that is over before it begins is not made", doesNotBegin},
		{"a context derived in the handler ends with the call", endsDerived},
		{"a refusal keeps its kind, code, message and details", carriesProblems},
		{"a refusal wrapped by the handler is found", unwrapsProblems},
		{"an error keeps no identity and no cause", hidesCauses},
		{"a plain error says nothing of itself", hidesPlainErrors},
		{"a panic is our fault and the room lives on", recovers},
		{"an answer of nothing is our fault", refusesNothing},
		{"a stranger reaches public methods only", admitsStrangers},
		{"a guest reaches public and owners' methods", admitsGuests},
		{"staff reaches all but the services' methods", admitsStaff},
		{"a room reaches services' and owners' methods", admitsRooms},
		{"a room that the contract does not name is refused", refusesOtherRooms},
		{"nobody is a room at the front door", refusesForgedRooms},
		{"the front door asks for the idempotency key", wantsKey},
		{"a call from within a transaction panics", refusesTransactions},
		{"an unknown method is refused", refusesUnknown},
		{"an absent room is not ready", missesRoom},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{probe: newProbe()}
			b.place = open(t, func(r grpc.ServiceRegistrar) { rpctestv1.RegisterProbeServer(r, b.probe) })
			b.probe.self = rpctestv1.NewProbeClient(b.place.Dial(Room, Room))
			b.room = rpctestv1.NewProbeClient(b.place.Dial(Caller, Room))
			b.edge = rpctestv1.NewProbeClient(b.place.Edge(Room))
			c.test(t, b)
		})
	}
}

// bench is what one test of the suite works at.
type bench struct {
	place Placement
	probe *probe
	room  rpctestv1.ProbeClient // as another room
	edge  rpctestv1.ProbeClient // as the front door
}

type ctxKey struct{}

func answers(t *testing.T, b *bench) {
	got, err := b.room.Ask(t.Context(), &rpctestv1.AskRequest{What: "echo", Text: "hello", Items: []string{"a"}})
	if err != nil || got.Text != "hello" || len(got.Items) != 1 || got.Principal != "service:"+Caller {
		t.Fatalf("got %v, %v", got, err)
	}
}

func replacesReply(t *testing.T, b *bench) {
	reply := &rpctestv1.AskResponse{Text: "old", Items: []string{"old"}, OnBehalfOf: "old"}
	err := b.place.Dial(Caller, Room).Invoke(t.Context(), rpctestv1.Probe_Ask_FullMethodName, &rpctestv1.AskRequest{What: "echo", Items: []string{"new"}}, reply)
	if err != nil || reply.Text != "" || len(reply.Items) != 1 || reply.OnBehalfOf != "" {
		t.Fatalf("got %v, %v", reply, err)
	}
}

func sharesNothing(t *testing.T, b *bench) {
	in := &rpctestv1.AskRequest{What: "scribble", Items: []string{"a", "b"}}
	got, err := b.room.Ask(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if in.Items[0] != "a" {
		t.Errorf("the server changed the caller's request: %v", in.Items)
	}
	got.Items[0] = "mine"
	if kept := b.probe.kept(); kept[0] == "mine" {
		t.Error("the caller changed what the server keeps")
	}
}

func hidesValues(t *testing.T, b *bench) {
	ctx := context.WithValue(t.Context(), ctxKey{}, "secret")
	got, err := b.room.Ask(ctx, &rpctestv1.AskRequest{What: "value"})
	if err != nil || got.Text != "<nil>" {
		t.Fatalf("the server sees the caller's value: %v, %v", got, err)
	}
}
