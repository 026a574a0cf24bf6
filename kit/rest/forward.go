package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
)

// HeaderCall carries a Call from the front door to a room in another process: base64url of JSON. The front door takes it
// away from whoever else sends it, and Inside is only served to the front door.
const HeaderCall = "Souk-Call"

// forwarded is a Call as it travels.
type forwarded struct {
	Principal      string `json:"principal,omitempty"`
	OnBehalfOf     string `json:"on_behalf_of,omitempty"`
	RequestID      string `json:"request_id,omitempty"`
	Route          string `json:"route,omitempty"`
	TraceParent    string `json:"traceparent,omitempty"`
	TraceState     string `json:"tracestate,omitempty"`
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	Digest         []byte `json:"digest,omitempty"`
	TimeLeft       int64  `json:"time_left_us,omitempty"` // until the route's time is over; 0: unbounded
}

// Forward writes the call of a request into the header by which a room in another process learns it.
func Forward(ctx context.Context, h http.Header) {
	c := CallFrom(ctx)
	f := forwarded{
		OnBehalfOf: c.OnBehalfOf, RequestID: c.RequestID, Route: c.Route,
		TraceParent: c.TraceParent, TraceState: c.TraceState, IdempotencyKey: c.IdempotencyKey,
	}
	if c.Principal.Kind != auth.Anonymous {
		f.Principal = c.Principal.Encode()
	}
	if c.IdempotencyKey != "" {
		f.Digest = c.Digest[:]
	}
	if deadline, ok := ctx.Deadline(); ok {
		f.TimeLeft = max(1, time.Until(deadline).Microseconds())
	}
	data, err := json.Marshal(f)
	if err != nil {
		panic("rest: forward a call: " + err.Error()) // strings and numbers always marshal
	}
	h.Set(HeaderCall, base64.RawURLEncoding.EncodeToString(data))
}

// Inside serves what Forward sent. It believes the header: serve it to the front door alone.
func Inside(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, left, err := received(r.Header.Get(HeaderCall))
		if err != nil {
			Refuse(w, r, problem.New(problem.Invalid, "call_damaged", "This address is asked by the front door alone.").Because(err))
			return
		}
		r.Header.Del(HeaderCall)
		ctx := WithCall(r.Context(), c)
		c.Patient = ctx
		if left > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, left)
			defer cancel()
		}
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

func received(header string) (*Call, time.Duration, error) {
	data, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return nil, 0, fmt.Errorf("decode %s: %w", HeaderCall, err)
	}
	var f forwarded
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", HeaderCall, err)
	}
	c := &Call{
		OnBehalfOf: f.OnBehalfOf, RequestID: f.RequestID, Route: f.Route,
		TraceParent: f.TraceParent, TraceState: f.TraceState, IdempotencyKey: f.IdempotencyKey,
	}
	if copy(c.Digest[:], f.Digest) != len(f.Digest) {
		return nil, 0, fmt.Errorf("read %s: a digest of %d bytes", HeaderCall, len(f.Digest))
	}
	if f.Principal != "" {
		p, ok := auth.Decode(f.Principal)
		if !ok {
			return nil, 0, fmt.Errorf("read %s: its principal is not understood", HeaderCall)
		}
		c.Principal = p
	}
	return c, time.Duration(f.TimeLeft) * time.Microsecond, nil
}
