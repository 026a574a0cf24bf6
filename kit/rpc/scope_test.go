package rpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	kitv1 "github.com/seed-21071466/souk/gen/kit/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
)

// registerContract makes a service with one method, Ask, known to the process as generated code does.
func registerContract(t *testing.T, service string, rule *kitv1.Rule) *grpc.ServiceDesc {
	t.Helper()
	file := new(descriptorpb.FileDescriptorProto)
	err := prototext.Unmarshal([]byte(`package: "kit.scopetest.v1" syntax: "proto3" dependency: "google/protobuf/empty.proto"
		service { method { name: "Ask" input_type: ".google.protobuf.Empty" output_type: ".google.protobuf.Empty" } }`), file)
	if err != nil {
		t.Fatal(err)
	}
	file.Name, file.Service[0].Name = proto.String("kit/rpc/"+service+".proto"), proto.String(service)
	file.Service[0].Method[0].Options = new(descriptorpb.MethodOptions)
	proto.SetExtension(file.Service[0].Method[0].Options, kitv1.E_Rule, rule)
	made, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	if err == nil {
		err = protoregistry.GlobalFiles.RegisterFile(made)
	}
	if err != nil {
		t.Fatal(err)
	}
	ask := func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(emptypb.Empty)
		return in, decode(in)
	}
	return &grpc.ServiceDesc{
		ServiceName: "kit.scopetest.v1." + service, HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Ask", Handler: ask}},
	}
}

func TestAScopeIsAskedOfStaffKeys(t *testing.T) {
	server := rpc.NewServer(rpc.Options{Log: quiet})
	server.For("desk").RegisterService(registerContract(t, "Desk", &kitv1.Rule{Access: kitv1.Access_ACCESS_STAFF, IdempotencyKey: true, Scope: "desk"}), nil)
	staff := func(scopes ...string) auth.Principal {
		return auth.Principal{Kind: auth.Staff, ID: "anna", Scopes: scopes}
	}
	for name, c := range map[string]struct {
		who  auth.Principal
		code string // "" when it is admitted
	}{
		"a key with the scope":          {staff("stock", "desk"), ""},
		"a key with all scopes":         {staff(auth.ScopeAll), ""},
		"a key without scopes":          {staff(), "scope_required"},
		"a key with another scope":      {staff("des", "desks"), "scope_required"},
		"a bearer that claims a scope":  {auth.Principal{Kind: auth.Bearer, ID: "ord_1", Scopes: []string{"desk"}}, "staff_only"},
		"a customer who claims a scope": {auth.Principal{Kind: auth.Customer, ID: "sub_1", Scopes: []string{"*"}}, "staff_only"},
		"nobody":                        {auth.Principal{}, "credentials_required"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := metadata.AppendToOutgoingContext(t.Context(), rpc.KeyPrincipal, c.who.Encode(), rpc.KeyIdempotency, "k-1")
			wantCode(t, server.Edge("desk").Invoke(ctx, "/kit.scopetest.v1.Desk/Ask", new(emptypb.Empty), new(emptypb.Empty)), c.code)
		})
	}
	t.Run("the scope comes before the key", func(t *testing.T) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), rpc.KeyPrincipal, staff().Encode())
		err := server.Edge("desk").Invoke(ctx, "/kit.scopetest.v1.Desk/Ask", new(emptypb.Empty), new(emptypb.Empty))
		wantCode(t, err, "scope_required")
		if p := problem.Of(err); p != nil && p.Meta["scope"] != "desk" {
			t.Errorf("it does not name the scope: %v", p.Meta)
		}
	})
	t.Run("another room is no staff", func(t *testing.T) {
		wantCode(t, server.Dial("orders", "desk").Invoke(t.Context(), "/kit.scopetest.v1.Desk/Ask", new(emptypb.Empty), new(emptypb.Empty)), "staff_only")
	})
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	got := ""
	if err != nil {
		p := problem.Of(err)
		if p == nil {
			t.Fatal(err)
		}
		got = p.Code
	}
	if got != code {
		t.Errorf("%q, want %q", got, code)
	}
}

func TestAScopeWithoutStaffIsRefusedAtTheStart(t *testing.T) {
	for service, access := range map[string]kitv1.Access{
		"Public": kitv1.Access_ACCESS_PUBLIC, "Owner": kitv1.Access_ACCESS_OWNER, "Service": kitv1.Access_ACCESS_SERVICE,
	} {
		t.Run(service, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it is registered")
				}
			}()
			desc := registerContract(t, service, &kitv1.Rule{Access: access, Scope: "desk"})
			rpc.NewServer(rpc.Options{}).For("x").RegisterService(desc, nil)
		})
	}
}
