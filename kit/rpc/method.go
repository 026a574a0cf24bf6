package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	kitv1 "github.com/seed-21071466/souk/gen/kit/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
)

// method is one registered method with all that a call needs looked up.
type method struct {
	name     string // "/souk.orders.v1.Orders/Get"
	room     *resident
	impl     any
	handle   grpc.MethodHandler
	access   kitv1.Access
	needsKey bool
	scope    string   // that a staff key must have; "" for none
	callers  []string // the rooms that may call it
	observed *observed
}

// methodsOf reads the rule of every method of a service.
func (s *Server) methodsOf(room *resident, desc *grpc.ServiceDesc, impl any) []*method {
	if len(desc.Streams) > 0 {
		panic("rpc: " + desc.ServiceName + " has a streaming method: rooms speak unary rpc and events only")
	}
	methods := make([]*method, 0, len(desc.Methods))
	for _, d := range desc.Methods {
		rule, err := ruleOf(desc.ServiceName, d.MethodName)
		if err != nil {
			panic("rpc: register " + desc.ServiceName + "/" + d.MethodName + ": " + err.Error())
		}
		methods = append(methods, &method{
			name:     "/" + desc.ServiceName + "/" + d.MethodName,
			room:     room,
			impl:     impl,
			handle:   d.Handler,
			access:   rule.GetAccess(),
			needsKey: rule.GetIdempotencyKey(),
			scope:    rule.GetScope(),
			callers:  rule.GetCallers(),
			observed: s.metrics.of(room.name, d.MethodName),
		})
	}
	return methods
}

func ruleOf(service, name string) (*kitv1.Rule, error) {
	desc, err := contractOf(service, name)
	if err != nil {
		return nil, err
	}
	rule, _ := proto.GetExtension(desc.Options(), kitv1.E_Rule).(*kitv1.Rule)
	switch access := rule.GetAccess(); {
	case access == kitv1.Access_ACCESS_UNSPECIFIED:
		return nil, errors.New("state who may call it: option (kit.v1.rule) = {access: ACCESS_…}")
	case rule.GetScope() != "" && access != kitv1.Access_ACCESS_STAFF:
		return nil, errors.New("only staff keys have scopes: state ACCESS_STAFF with scope, or take the scope away")
	case len(rule.GetCallers()) == 0 && access == kitv1.Access_ACCESS_SERVICE:
		return nil, errors.New("state which rooms call it: option (kit.v1.rule) = {access: ACCESS_SERVICE callers: [\"…\"]}")
	case len(rule.GetCallers()) > 0 && access == kitv1.Access_ACCESS_STAFF:
		return nil, errors.New("no room is staff: take its callers away, or state another access")
	}
	return rule, nil
}

func contractOf(service, name string) (protoreflect.MethodDescriptor, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil, fmt.Errorf("find its contract: %w", err)
	}
	desc, ok := found.(protoreflect.ServiceDescriptor)
	if !ok || desc.Methods().ByName(protoreflect.Name(name)) == nil {
		return nil, errors.New("its contract has no such method")
	}
	return desc.Methods().ByName(protoreflect.Name(name)), nil
}

// admit applies the rule: first who may call, then with what scope, then what they must send.
func (m *method) admit(c *call) error {
	switch p := c.principal; m.access {
	case kitv1.Access_ACCESS_PUBLIC:
	case kitv1.Access_ACCESS_OWNER:
		if p.Kind == auth.Anonymous {
			return credentialsRequired()
		}
	case kitv1.Access_ACCESS_STAFF:
		if p.Kind == auth.Anonymous {
			return credentialsRequired()
		}
		if !p.Staff() {
			return problem.New(problem.Forbidden, "staff_only", "Only the staff of the shop may do this.")
		}
	case kitv1.Access_ACCESS_SERVICE:
		if c.edge {
			return problem.New(problem.NotFound, "not_found", "There is nothing here.")
		}
		if !p.Service() {
			return problem.New(problem.Forbidden, "service_only", "Only other services may do this.")
		}
	}
	if c.principal.Service() && !slices.Contains(m.callers, c.principal.ID) {
		return problem.Newf(problem.Forbidden, "caller_not_allowed", "The room %s may not call %s: its contract does not name it among its callers.",
			c.principal.ID, m.name[1:]).With("caller", c.principal.ID)
	}
	if m.scope != "" && !c.principal.May(m.scope) {
		return problem.Newf(problem.Forbidden, "scope_required", "Your key has not the scope %q that this needs.", m.scope).With("scope", m.scope)
	}
	return m.checkKey(c)
}

func credentialsRequired() error {
	return problem.New(problem.Unauthenticated, "credentials_required", "Send a token: Authorization: Bearer ….")
}

// checkKey applies to calls from the front door; inner keys are paths such as
// <order>/<step>/<attempt>.
func (m *method) checkKey(c *call) error {
	switch {
	case !c.edge:
		return nil
	case c.key == "" && m.needsKey:
		return problem.New(problem.Invalid, "idempotency_key_required",
			"Send the header Idempotency-Key with a value of your own, the same when you repeat this request.").
			On("Idempotency-Key", "required", "is missing")
	case c.key != "" && !id.Valid(c.key):
		return problem.New(problem.Invalid, "idempotency_key_invalid",
			"The header Idempotency-Key holds 1 to 64 characters of A–Z, a–z, 0–9, “_”, “.” and “-”.").
			On("Idempotency-Key", "invalid", "is too long or has other characters")
	}
	return nil
}

// panicked is a handler's panic on its way to the log.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// run admits the call and hands the request to the handler; read fills in a fresh one.
func (m *method) run(ctx context.Context, c *call, read func(any) error) (out proto.Message, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, &panicked{v, debug.Stack()}
		}
	}()
	if err := m.admit(c); err != nil {
		return nil, err
	}
	answer, err := m.handle(m.impl, ctx, read, nil)
	if err != nil {
		return nil, err
	}
	out, ok := answer.(proto.Message)
	if !ok || !out.ProtoReflect().IsValid() {
		return nil, errors.New("the handler answered nothing")
	}
	return out, nil
}
