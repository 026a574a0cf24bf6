package client

import (
	"bytes"
	"io"
	"net/http"
)

// Local is an HTTP client of a handler in this process: a request is a call, nothing is sent. The host of its addresses
// is only a name.
func Local(h http.Handler) *http.Client {
	return &http.Client{Transport: local{h}}
}

type local struct{ handler http.Handler }

// RoundTrip calls the handler and keeps its answer, which is whole when this returns.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	inner := r.Clone(r.Context())
	inner.RequestURI = r.URL.RequestURI()
	inner.RemoteAddr = "127.0.0.1:0"
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	defer inner.Body.Close()
	kept := &answer{header: http.Header{}}
	l.handler.ServeHTTP(kept, inner)
	kept.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: http.StatusText(kept.status), StatusCode: kept.status, Header: kept.sent,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(&kept.body), ContentLength: int64(kept.body.Len()), Request: r,
	}, nil
}

// answer is what a handler writes.
type answer struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

// Header is what the handler may still change.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader takes the first final status; informational ones do not end the head.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status, a.sent = status, a.header.Clone()
	}
}

// Write keeps bytes of the body.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
