package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// route is one line of the route table.
type route struct {
	Method         string `json:"method"`          // HTTP method
	Path           string `json:"path"`            // template, "/api/orders/{id}"
	Room           string `json:"room"`            // "orders"
	RPC            string `json:"rpc"`             // "/souk.orders.v1.Orders/Get"
	Access         string `json:"access"`          // "public", "owner", "staff"
	IdempotencyKey bool   `json:"idempotency_key"` // the header is required
	Scope          string `json:"scope,omitempty"` // that a staff key must have
	CSV            bool   `json:"csv,omitempty"`   // a list, which is served as CSV, too
}

// rule is kit.v1.rule as a method states it.
type rule struct {
	access         string
	idempotencyKey bool
	scope          string
}

// routes reads the table from the contracts and refuses what no room may
// state: a method without a rule, an inner method with a public address, one
// address given twice.
func (c *contracts) routes() ([]route, error) {
	var (
		found = []route{}
		errs  []error
	)
	for _, name := range c.own {
		file, err := c.reg.FindFileByPath(name)
		if err != nil {
			return nil, fmt.Errorf("read routes of %s: %w", name, err)
		}
		services := file.Services()
		for i := range services.Len() {
			methods := services.Get(i).Methods()
			for j := range methods.Len() {
				r, err := c.routesOf(methods.Get(j))
				found, errs = append(found, r...), append(errs, err)
			}
		}
	}
	slices.SortFunc(found, func(a, b route) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method), strings.Compare(a.RPC, b.RPC))
	})
	for i := 1; i < len(found); i++ {
		if a, b := found[i-1], found[i]; a.Path == b.Path && a.Method == b.Method {
			errs = append(errs, fmt.Errorf("%s %s belongs to two methods: %s and %s", a.Method, a.Path, a.RPC, b.RPC))
		}
	}
	return found, errors.Join(errs...)
}

func (c *contracts) routesOf(m protoreflect.MethodDescriptor) ([]route, error) {
	rpc := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	rule, err := c.rule(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", rpc, err)
	}
	if rule.access == "" || rule.access == "unspecified" {
		return nil, fmt.Errorf("%s: state who may call it: option (kit.v1.rule) = {access: ACCESS_…}", rpc)
	}
	if rule.scope != "" && rule.access != "staff" {
		return nil, fmt.Errorf("%s: only staff keys have scopes: state ACCESS_STAFF with scope %q, or take it away", rpc, rule.scope)
	}
	http, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if http == nil {
		return nil, nil
	}
	if rule.access == "service" {
		return nil, fmt.Errorf("%s: ACCESS_SERVICE is for other rooms only; take its google.api.http rule away", rpc)
	}
	var routes []route
	for _, h := range append([]*annotations.HttpRule{http}, http.AdditionalBindings...) {
		method, path := address(h)
		if h.GetResponseBody() != "" {
			return nil, fmt.Errorf("%s: an answer is the whole message: take response_body away", rpc)
		}
		csv := method == "GET" && list(m)
		if csv && m.Input().Fields().ByName("format") != nil {
			return nil, fmt.Errorf("%s: a list cannot have a field named format: kit/rest reads the query parameter of that name", rpc)
		}
		routes = append(routes, route{method, path, room(m.ParentFile().Package()), rpc, rule.access, rule.idempotencyKey, rule.scope, csv})
	}
	return routes, nil
}

// list tells whether a method is a list, as kit/rest finds it: page_size and page_token in its request, one repeated
// message and next_page_token in its answer.
func list(m protoreflect.MethodDescriptor) bool {
	in, out, rows := m.Input().Fields(), m.Output().Fields(), 0
	for i := range out.Len() {
		if f := out.Get(i); f.IsList() && f.Message() != nil {
			rows++
		}
	}
	return rows == 1 && in.ByName("page_size") != nil && in.ByName("page_token") != nil && out.ByName("next_page_token") != nil
}

// rule reads kit.v1.rule through descriptors only: the Go type of it is
// something that this command writes.
func (c *contracts) rule(m protoreflect.MethodDescriptor) (rule, error) {
	raw, err := proto.Marshal(m.Options())
	if err != nil {
		return rule{}, err
	}
	types := dynamicpb.NewTypes(c.reg)
	ext, err := types.FindExtensionByName("kit.v1.rule")
	if err != nil {
		return rule{}, fmt.Errorf("find kit.v1.rule: %w", err)
	}
	options := m.Options().ProtoReflect().New()
	if err := (proto.UnmarshalOptions{Resolver: types}).Unmarshal(raw, options.Interface()); err != nil {
		return rule{}, err
	}
	if !options.Has(ext.TypeDescriptor()) {
		return rule{}, nil
	}
	msg := options.Get(ext.TypeDescriptor()).Message()
	fields := msg.Descriptor().Fields()
	access := fields.ByName("access")
	value := access.Enum().Values().ByNumber(msg.Get(access).Enum())
	return rule{
		access:         strings.ToLower(strings.TrimPrefix(string(value.Name()), "ACCESS_")),
		idempotencyKey: msg.Get(fields.ByName("idempotency_key")).Bool(),
		scope:          msg.Get(fields.ByName("scope")).String(),
	}, nil
}

func address(h *annotations.HttpRule) (method, path string) {
	switch p := h.Pattern.(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Custom:
		return p.Custom.GetKind(), p.Custom.GetPath()
	}
	return "", ""
}
