package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

const (
	bodyReuseMax      = 256 << 10 // bytes of a buffer that is used again
	idempotencyKeyMax = 255       // characters of an Idempotency-Key
)

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func giveBack(b *bytes.Buffer) {
	if b.Cap() <= bodyReuseMax {
		b.Reset()
		bodies.Put(b)
	}
}

// readBody takes in the whole body, bounded in size and in time, so that
// a room never waits for a slow client.
func (g *Gateway) readBody(v *visit) *problem.Error {
	r, limit := v.r, v.entry.BodyMax
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if r.ContentLength > limit {
		v.Header().Set("Connection", "close") // the rest is not worth reading
		return rest.TooLarge(limit)
	}
	conn := http.NewResponseController(v.ResponseWriter)
	timed := conn.SetReadDeadline(time.Now().Add(g.o.BodyTime)) == nil
	v.body = bodies.Get().(*bytes.Buffer)
	if _, err := v.body.ReadFrom(http.MaxBytesReader(v.ResponseWriter, r.Body, limit)); err != nil {
		return unreadable(v, err)
	}
	if timed {
		_ = conn.SetReadDeadline(time.Time{}) // could be set a moment ago
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(v.body.Bytes())), int64(v.body.Len())
	return nil
}

func unreadable(v *visit, err error) *problem.Error {
	v.Header().Set("Connection", "close")
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return rest.TooLarge(tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.New(problem.Timeout, "body_too_slow", "The body did not arrive in time.")
	}
	return problem.New(problem.Invalid, "body_incomplete", "The body did not arrive whole.").Because(err)
}

// nameCommand takes the Idempotency-Key and the digest of what it names: the
// client's own method, address and body, so that a key is never answered with
// what another request did.
func nameCommand(v *visit) *problem.Error {
	keys := v.r.Header["Idempotency-Key"]
	switch {
	case len(keys) == 0:
		return nil
	case len(keys) > 1:
		return problem.Field("Idempotency-Key", "repeated", "is sent more than once")
	case !visible(keys[0]):
		return problem.Field("Idempotency-Key", "invalid", "holds 1 to 255 visible ASCII characters")
	}
	v.call.IdempotencyKey = keys[0]
	digest := sha256.New()
	_, _ = io.WriteString(digest, v.r.Method+" "+v.path+"?"+v.r.URL.RawQuery+"\n") // a hash never fails
	if v.body != nil {
		_, _ = digest.Write(v.body.Bytes())
	}
	digest.Sum(v.call.Digest[:0])
	return nil
}

func visible(key string) bool {
	if key == "" || len(key) > idempotencyKeyMax {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}
