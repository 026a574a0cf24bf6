package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc/identity"
	"github.com/seed-21071466/souk/kit/rpc/port"
)

// offered is a service as gRPC's server takes it: every method goes the way of a call within the process.
func (s *Server) offered(sv service) *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: sv.desc.ServiceName, Metadata: sv.desc.Metadata}
	for _, m := range sv.desc.Methods {
		name := "/" + sv.desc.ServiceName + "/" + m.MethodName
		desc.Methods = append(desc.Methods, grpc.MethodDesc{
			MethodName: m.MethodName,
			Handler: func(_ any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return s.answer(ctx, sv.room, name, read)
			},
		})
	}
	return desc
}

// answer serves a call that came over the network.
func (s *Server) answer(ctx context.Context, room, name string, read func(any) error) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx) // a copy
	c, err := received(ctx, md)
	if err != nil {
		return nil, ToStatus(err).Err()
	}
	m, err := s.enter(asked(md, room), name)
	if err != nil {
		return nil, unheardStatus(describe(err)).Err()
	}
	defer m.room.calls.Add(-1)
	delete(md, keyAuthority)
	c.metadata = md
	out, err := s.serve(ctx, m, c, read)
	if header := c.headers(); len(header) > 0 {
		_ = grpc.SetHeader(ctx, header) // it fails when the caller has gone
	}
	if err != nil {
		return nil, ToStatus(err).Err()
	}
	return out, nil
}

// keyAuthority is where a caller names the room that it dialled.
const keyAuthority = ":authority"

// asked is the room that the caller dialled: a room that is not here is not answered for by another one. Clients that
// know no rooms, such as grpcurl, name an address there.
func asked(md metadata.MD, room string) string {
	if to := last(md, keyAuthority); identity.CheckName(to) == nil && to != "localhost" {
		return to
	}
	return room
}

// transportKeys are what gRPC itself sends along, and what received has read.
var transportKeys = []string{"content-type", "user-agent", "grpc-accept-encoding", KeyCaller, KeyShop}

// received reads who calls and what travels beside the request.
func received(ctx context.Context, md metadata.MD) (*call, error) {
	caller, err := callerOf(ctx, last(md, KeyCaller))
	if err != nil {
		return nil, err
	}
	c := &call{metadata: md, away: true, onBehalfOf: last(md, KeyOnBehalfOf), requestID: last(md, KeyRequestID), key: last(md, KeyIdempotency)}
	c.traceParent, c.traceState = last(md, KeyTraceParent), last(md, KeyTraceState)
	if err := c.readDigest(last(md, KeyDigest)); err != nil {
		return nil, err
	}
	if caller == identity.Gateway {
		err = c.readPrincipal(md)
	} else {
		c.principal = auth.Principal{Kind: auth.Service, ID: caller, Shop: last(md, KeyShop)}
		delete(md, KeyPrincipal) // it is not theirs to say
	}
	for _, key := range transportKeys {
		delete(md, key)
	}
	return c, err
}

// callerOf is the room that calls, which must be among those that its certificate names. Who has one name only need not say it.
func callerOf(ctx context.Context, claimed string) (string, error) {
	conn, _ := grpcpeer.FromContext(ctx)
	info, ok := conn.AuthInfo.(port.AuthInfo)
	if !ok {
		return "", problem.New(problem.Internal, codeInternal, "The connection does not tell who calls.")
	}
	if claimed == "" {
		claimed = info.Peer.Sole()
	}
	switch {
	case claimed == "":
		return "", problem.Newf(problem.Unauthenticated, "caller_required", "Say in the metadata %s which room calls.", KeyCaller)
	case !info.Peer.Is(claimed):
		return "", problem.Newf(problem.Unauthenticated, "caller_unproven", "The caller's certificate does not name %s.", identity.URI(claimed)).With("caller", claimed)
	}
	return claimed, nil
}
