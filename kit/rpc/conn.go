package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Dial is the connection by which one room asks another, in this process when
// the room is here, else over the network where Reach says; the other room sees
// the principal service:<caller>. Request id, trace, shop and on-behalf-of are
// handed on from the call that the caller is serving.
func (s *Server) Dial(caller, room string) grpc.ClientConnInterface {
	return &conn{server: s, caller: caller, room: room}
}

// Edge is the connection by which the front door asks a room. The principal is
// what the gateway wrote into the outgoing metadata; ACCESS_SERVICE methods are
// not found here.
func (s *Server) Edge(room string) grpc.ClientConnInterface {
	return &conn{server: s, room: room, edge: true}
}

// conn is a connection to a room, wherever it lives.
type conn struct {
	server       *Server
	caller, room string
	edge         bool
}

// Invoke makes a call. The handler runs on the caller's goroutine, so a call
// whose deadline passes returns as soon as the handler has looked at its
// context; what it then answered is not delivered.
func (c *conn) Invoke(ctx context.Context, name string, args, reply any, opts ...grpc.CallOption) error {
	if sqlstore.InTx(ctx) {
		panic("rpc: " + name + " called inside a transaction: ask first, then open the transaction")
	}
	in, ok := args.(proto.Message)
	out, ok2 := reply.(proto.Message)
	if !ok || !ok2 {
		return c.delivered(errors.New("rpc: only protobuf messages travel"))
	}
	if err := ctx.Err(); err != nil {
		return c.delivered(err)
	}
	if away := c.server.elsewhere(c.room); away != nil {
		return away.invoke(ctx, c, name, in, out, opts)
	}
	m, err := c.server.enter(c.room, name)
	if err != nil {
		return c.delivered(err)
	}
	defer m.room.calls.Add(-1)
	call, err := c.call(ctx)
	if err != nil {
		return c.delivered(err)
	}
	answer, err := c.server.serve(ctx, m, call, m.copying(in))
	takeHeaders(call, opts)
	if err != nil {
		return c.delivered(err)
	}
	proto.Reset(out)
	proto.Merge(out, answer)
	return nil
}

// NewStream is refused: rooms speak unary rpc and events only.
func (c *conn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "rooms speak unary rpc and events only")
}

// takeHeaders gives the response headers to a caller who asked for them.
func takeHeaders(c *call, opts []grpc.CallOption) {
	for _, o := range opts {
		if h, ok := o.(grpc.HeaderCallOption); ok {
			*h.HeaderAddr = c.headers()
		}
	}
}

// call is what the connection sends along with the request.
func (c *conn) call(ctx context.Context) (*call, error) {
	if c.edge {
		return edgeCall(ctx)
	}
	return innerCall(ctx, c.caller, c.server.shop)
}

// copying reads a request of this process into the handler's own.
func (m *method) copying(in proto.Message) func(any) error {
	return func(fresh any) error {
		copied, ok := fresh.(proto.Message)
		if !ok || copied.ProtoReflect().Descriptor() != in.ProtoReflect().Descriptor() {
			return problem.Newf(problem.Internal, "wrong_request", "%s does not take a %T.", m.name, in)
		}
		proto.Merge(copied, in)
		return nil
	}
}

// serve runs the server's side of a call; read fills in the handler's request.
func (s *Server) serve(caller context.Context, m *method, c *call, read func(any) error) (proto.Message, error) {
	began := time.Now()
	deadline := began.Add(s.timeout)
	if d, ok := caller.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	handling := c.serving(caller, deadline)
	defer handling.finish()
	ctx, span := s.startSpan(caller, handling, m, c)
	out, err := m.run(ctx, c, read)
	err = outcome(caller, handling, err)
	m.observed.ended(began, err)
	endSpan(span, err)
	if err != nil {
		s.complain(ctx, m, err)
		return nil, err
	}
	return out, nil
}

// outcome is what the caller hears: once its time is over, or it hung up, that
// is all it learns, as over a network.
func outcome(caller, ctx context.Context, err error) error {
	if late := ctx.Err(); late != nil {
		return late
	}
	if gone := caller.Err(); gone != nil {
		return gone
	}
	return err
}
