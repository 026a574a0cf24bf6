package rest

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/url"

	"google.golang.org/grpc/metadata"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/rpc"
)

// The metadata keys by which a request's conditions travel to the room.
const (
	keyIfMatch     = "if-match"           // as the client sent it
	keyIfNoneMatch = "if-none-match"      // as the client sent it
	keyKept        = "souk-if-none-match" // the ETag of the page that is kept here
)

// Call is what the front door found out about a request. It reaches the room
// as metadata; nothing that a client writes into a header does so by itself.
type Call struct {
	Principal      auth.Principal
	OnBehalfOf     string // "kind:id", "" for the principal itself
	RequestID      string
	Route          string   // the pattern that the gateway found; "" leaves the finding to rest
	TraceParent    string   // W3C
	TraceState     string   // W3C
	IdempotencyKey string   // "" when the client sent none
	Digest         [32]byte // SHA-256 of the client's own bytes, when there is a key

	// Patient ends when the client hangs up, and not with the time of its route.
	// It is for an answer that goes on for long and bounds itself; nil: the
	// request's own context.
	Patient context.Context
}

type callKey struct{}

// WithCall is how the gateway tells rest what it found out.
func WithCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// noCall is the call of a request that came without a gateway: anonymous.
var noCall = new(Call)

// CallFrom is the call of a request; raw handlers use it. It is never nil and
// must not be changed.
func CallFrom(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return noCall
}

// metadataMax is the number of keys that metadata may set.
const metadataMax = 10

// metadata is what the room is told. All values share one array: this is the
// hot path.
func (x *exchange) metadata() metadata.MD {
	md, values := make(metadata.MD, metadataMax), make([]string, 0, metadataMax)
	set := func(key, value string) {
		if value != "" {
			values = append(values, value)
			md[key] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	c := x.call
	set(rpc.KeyRequestID, c.RequestID)
	set(rpc.KeyTraceParent, c.TraceParent)
	set(rpc.KeyTraceState, c.TraceState)
	set(rpc.KeyOnBehalfOf, c.OnBehalfOf)
	if c.Principal.Kind != auth.Anonymous {
		set(rpc.KeyPrincipal, c.Principal.Encode())
	}
	if c.IdempotencyKey != "" {
		set(rpc.KeyIdempotency, c.IdempotencyKey)
		set(rpc.KeyDigest, hex.EncodeToString(c.Digest[:]))
	}
	set(keyIfMatch, x.ifMatch)
	set(keyIfNoneMatch, x.ifNoneMatch)
	if x.kept != nil {
		set(keyKept, x.kept.etag)
	}
	return md
}

// escapedPath is the path as the client wrote it, so that an id may hold an
// escaped slash.
func escapedPath(r *http.Request) string {
	if r.URL.RawPath == "" {
		return r.URL.Path
	}
	return r.URL.EscapedPath()
}

// unescaped is a variable's value. A path that came in its plain form is
// unescaped already; twice would make another id of it.
func unescaped(r *http.Request, value string) string {
	if r.URL.RawPath == "" {
		return value
	}
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}
