package rpc

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/metadata"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
)

// The metadata keys of a call.
const (
	KeyPrincipal   = "souk-principal"      // auth.Principal.Encode()
	KeyOnBehalfOf  = "souk-on-behalf-of"   // "kind:id"
	KeyRequestID   = "souk-request-id"     // as the client knows it
	KeyIdempotency = "idempotency-key"     // the client's, or <order>/<step>/<attempt>
	KeyDigest      = "souk-request-digest" // hexadecimal SHA-256 of the client's own bytes
	KeyTraceParent = "traceparent"         // W3C
	KeyTraceState  = "tracestate"          // W3C
)

// The metadata keys that a call over the network has besides.
const (
	KeyCaller = "souk-caller" // the room that calls, or identity.Gateway; one of the identities of its certificate
	KeyShop   = "souk-shop"   // of a call from a room
)

// The metadata keys of an answer.
const (
	KeyStatus       = "souk-status"  // HTTP status, "202"
	KeyHeaderPrefix = "souk-header-" // HTTP header, "souk-header-etag"
)

// call is what travels beside a request.
type call struct {
	principal  auth.Principal
	onBehalfOf string
	requestID  string
	key        string
	digest     [32]byte
	edge       bool
	away       bool // it came over the network

	traceParent, traceState string // W3C, when no span of this process is in the context

	metadata metadata.MD // all that was sent, for who reads more than the above

	mu     sync.Mutex
	header metadata.MD // of the answer
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// written reads the metadata that a context sends along, in a copy.
func written(ctx context.Context) (*call, metadata.MD, error) {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		return new(call), nil, nil
	}
	c := &call{metadata: md}
	c.onBehalfOf = last(md, KeyOnBehalfOf)
	c.requestID = last(md, KeyRequestID)
	c.key = last(md, KeyIdempotency)
	return c, md, c.readDigest(last(md, KeyDigest))
}

// last lets the innermost context that sets a key win.
func last(md metadata.MD, key string) string {
	if v := md[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// edgeCall is what the gateway wrote.
func edgeCall(ctx context.Context) (*call, error) {
	c, md, err := written(ctx)
	if err != nil {
		return nil, err
	}
	c.traceParent, c.traceState = last(md, KeyTraceParent), last(md, KeyTraceState)
	return c, c.readPrincipal(md)
}

// readPrincipal reads for whom the front door asks.
func (c *call) readPrincipal(md metadata.MD) error {
	c.edge = true
	text := last(md, KeyPrincipal)
	if text == "" {
		return nil
	}
	p, ok := auth.Decode(text)
	if !ok || p.Service() {
		return problem.New(problem.Unauthenticated, "credentials_invalid", "The credentials were not understood.")
	}
	c.principal = p
	return nil
}

// innerCall inherits from the call that the caller is serving, if any; what the
// caller wrote itself comes first.
func innerCall(ctx context.Context, caller, shop string) (*call, error) {
	c, _, err := written(ctx)
	if err != nil {
		return nil, err
	}
	c.principal = auth.Principal{Kind: auth.Service, ID: caller, Shop: shop}
	from := callOf(ctx)
	if from == nil {
		return c, nil
	}
	if c.requestID == "" {
		c.requestID = from.requestID
	}
	if c.onBehalfOf == "" {
		c.onBehalfOf = from.asker()
	}
	if from.principal.Shop != "" {
		c.principal.Shop = from.principal.Shop
	}
	return c, nil
}

// asker is on whose behalf the calls are made that serve this one.
func (c *call) asker() string {
	if c.onBehalfOf != "" || c.principal.Service() || c.principal.Kind == auth.Anonymous {
		return c.onBehalfOf
	}
	return c.principal.String()
}

func (c *call) readDigest(text string) error {
	if text == "" {
		return nil
	}
	if len(text) != hex.EncodedLen(len(c.digest)) {
		return problem.New(problem.Internal, "digest_invalid", "The digest of the request is damaged.")
	}
	if _, err := hex.Decode(c.digest[:], []byte(text)); err != nil {
		return problem.New(problem.Internal, "digest_invalid", "The digest of the request is damaged.").Because(err)
	}
	return nil
}

// RequestID is the id of the request that caused this call, "" when none did.
func RequestID(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.requestID
	}
	return ""
}

// IdempotencyKey is the key that the caller sent and the digest of the bytes
// that it named by it; false when it sent none.
func IdempotencyKey(ctx context.Context) (key string, digest [32]byte, ok bool) {
	if c := callOf(ctx); c != nil {
		return c.key, c.digest, c.key != ""
	}
	return "", digest, false
}

// OnBehalfOf is for whom the caller acts, "kind:id", "" when for itself.
func OnBehalfOf(ctx context.Context) string {
	if c := callOf(ctx); c != nil {
		return c.onBehalfOf
	}
	return ""
}

// WithIdempotencyKey makes the calls of this context carry the key.
func WithIdempotencyKey(ctx context.Context, key string, digest [32]byte) context.Context {
	return metadata.AppendToOutgoingContext(ctx, KeyIdempotency, key, KeyDigest, hex.EncodeToString(digest[:]))
}

// WithOnBehalfOf makes the calls of this context say for whom they are made;
// work that no request carries (a saga that resumes) says it this way.
func WithOnBehalfOf(ctx context.Context, who string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, KeyOnBehalfOf, who)
}

// WithRequestID makes the calls of this context belong to a request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, KeyRequestID, id)
}

// SetStatus chooses the HTTP status of a successful answer, such as 202.
func SetStatus(ctx context.Context, status int) {
	set(ctx, KeyStatus, strconv.Itoa(status))
}

// SetHeader adds an HTTP header to the answer, refused or not.
func SetHeader(ctx context.Context, name, value string) {
	set(ctx, KeyHeaderPrefix+strings.ToLower(name), value)
}

// SetETag names the version of what is answered; the quotes are added here.
func SetETag(ctx context.Context, version string) {
	set(ctx, KeyHeaderPrefix+"etag", `"`+version+`"`)
}

// set does nothing outside of a call.
func set(ctx context.Context, key, value string) {
	c := callOf(ctx)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.header == nil {
		c.header = make(metadata.MD, 2)
	}
	c.header[key] = []string{value}
}

func (c *call) headers() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.header.Copy()
}

// Response reads from an answer's metadata what the handler said by SetStatus,
// SetHeader and SetETag; status is 0 when it said none.
func Response(md metadata.MD) (status int, header http.Header) {
	for key, values := range md {
		if key == KeyStatus {
			status, _ = strconv.Atoi(values[0])
			continue
		}
		if name, ok := strings.CutPrefix(key, KeyHeaderPrefix); ok {
			if header == nil {
				header = make(http.Header, len(md))
			}
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return status, header
}
