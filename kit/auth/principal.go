// Package auth says who is asking: the principal that a call carries, the
// signed tokens by which a guest owns one object, and the key of the staff.
//
// The gateway turns credentials into a Principal, kit/rpc carries it from room
// to room, and each room authorizes the object: a foreign one is 404.
package auth

import (
	"context"
	"slices"
	"strings"
)

// Kind is the sort of a principal.
type Kind string

// The kinds of principals.
const (
	Anonymous Kind = ""         // no credentials
	Bearer    Kind = "bearer"   // the holder of one object's token; ID is the object's id
	Staff     Kind = "staff"    // the staff of the shop, by staff key
	Service   Kind = "service"  // another room; ID is its name
	Customer  Kind = "customer" // a signed-in customer; ID is the subject's id
)

// Principal is who asks.
type Principal struct {
	Kind   Kind
	ID     string
	Shop   string
	Scopes []string // of a staff key: what it may do beyond what all staff may
}

type principalKey struct{}

// From is the principal of a call, Anonymous when none is known.
func From(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(*Principal); ok {
		return *p
	}
	return Principal{}
}

// With is a server's context that knows its principal.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, &p)
}

// Owns tells whether the principal holds the token of this very object.
func (p Principal) Owns(objectID string) bool {
	return p.Kind == Bearer && p.ID != "" && p.ID == objectID
}

// Staff tells whether the shop's staff asks.
func (p Principal) Staff() bool { return p.Kind == Staff }

// Service tells whether another room asks.
func (p Principal) Service() bool { return p.Kind == Service }

// May tells whether the principal has a scope.
func (p Principal) May(scope string) bool {
	return slices.Contains(p.Scopes, scope) || slices.Contains(p.Scopes, ScopeAll)
}

// String is the principal as the audit log names it: "staff:key", "bearer:ord_…",
// "anonymous".
func (p Principal) String() string {
	if p.Kind == Anonymous {
		return "anonymous"
	}
	return string(p.Kind) + ":" + p.ID
}

// Encode is the principal as metadata carries it: "kind;id;shop;scope,scope".
// It holds no secret.
func (p Principal) Encode() string {
	return string(p.Kind) + ";" + p.ID + ";" + p.Shop + ";" + strings.Join(p.Scopes, ",")
}

// Decode reads what Encode wrote; false when it is not that.
func Decode(s string) (Principal, bool) {
	kind, rest, ok := strings.Cut(s, ";")
	id, rest, ok2 := strings.Cut(rest, ";")
	shop, scopes, ok3 := strings.Cut(rest, ";")
	if !ok || !ok2 || !ok3 || strings.Contains(scopes, ";") || !known(Kind(kind)) {
		return Principal{}, false
	}
	p := Principal{Kind: Kind(kind), ID: id, Shop: shop}
	if scopes != "" {
		p.Scopes = strings.Split(scopes, ",")
	}
	return p, p.Kind == Anonymous || id != ""
}

func known(k Kind) bool {
	switch k {
	case Anonymous, Bearer, Staff, Service, Customer:
		return true
	}
	return false
}
