package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
)

// elsewhere is a room in another process.
type elsewhere struct {
	server *httptest.Server
	cut    atomic.Int64 // so many requests that are still broken off once they were heard
	heard  atomic.Int64
}

func newElsewhere(t *testing.T, h http.Handler) *elsewhere {
	e := &elsewhere{}
	e.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.heard.Add(1)
		if e.cut.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
		rest.Inside(h).ServeHTTP(w, r)
	}))
	t.Cleanup(e.server.Close)
	return e
}

func (e *elsewhere) transport() http.RoundTripper {
	var dialer net.Dialer
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", e.server.Listener.Addr().String())
	}}
}

// door is a gateway before one room elsewhere.
func (e *elsewhere) door(t *testing.T, timeMax time.Duration, over http.RoundTripper) http.Handler {
	quiet := slog.New(slog.DiscardHandler)
	g, err := gateway.New(gateway.Options{
		Routes: []gateway.Route{{Method: "GET", Pattern: "/api/books", Room: "books", TimeMax: timeMax}, {Method: "POST", Pattern: "/api/books", Room: "books", TimeMax: timeMax}},
		Rooms:  map[string]http.Handler{"books": gateway.Pass("books", over, quiet)},
		Auth:   anyone{}, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type anyone struct{}

func (anyone) Authenticate(token string) (auth.Principal, bool) {
	return auth.Principal{Kind: auth.Staff, ID: token, Shop: "main"}, true
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c := rest.CallFrom(r.Context())
	w.Header().Set("ETag", `"7"`)
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, c.Principal.ID+" "+c.IdempotencyKey+" "+c.Route+" "+string(body))
}

func askThere(door http.Handler, method, body, key string) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest(method, "/api/books", strings.NewReader(body)), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer ann")
	r.Header.Set(rest.HeaderCall, "forged")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	door.ServeHTTP(w, r)
	return w
}

func TestARoomElsewhereHearsWhatTheDoorFoundOut(t *testing.T) {
	e := newElsewhere(t, http.HandlerFunc(echo))
	w := askThere(e.door(t, time.Second, e.transport()), "POST", "a body", "k1")
	if w.Code != http.StatusAccepted || w.Body.String() != "ann k1 /api/books a body" || w.Header().Get("ETag") != `"7"` {
		t.Errorf("got %d %q %v", w.Code, w.Body, w.Header())
	}
}

func TestABodyCanBeSentTwice(t *testing.T) {
	e := newElsewhere(t, http.HandlerFunc(echo))
	e.cut.Store(1)
	w := askThere(e.door(t, 10*time.Second, twice{e.transport()}), "POST", "a body", "k")
	if w.Code != http.StatusAccepted || !strings.HasSuffix(w.Body.String(), " a body") || e.heard.Load() != 2 {
		t.Errorf("answered %d %s after %d tries", w.Code, w.Body, e.heard.Load())
	}
}

// twice tries a second time.
type twice struct{ beneath http.RoundTripper }

func (tw twice) RoundTrip(r *http.Request) (*http.Response, error) {
	if answer, err := tw.beneath.RoundTrip(r); err == nil {
		return answer, nil
	}
	again := r.Clone(r.Context())
	again.Body, _ = r.GetBody()
	return tw.beneath.RoundTrip(again)
}

func TestARoomThatBreaksOffIsExplained(t *testing.T) {
	e := newElsewhere(t, http.HandlerFunc(echo))
	e.cut.Store(1)
	w := askThere(e.door(t, time.Second, e.transport()), "POST", "a body", "k")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "The books service broke off") || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s %v", w.Code, w.Body, w.Header())
	}
}

func TestAProblemOfTheTransportIsTheAnswer(t *testing.T) {
	e := newElsewhere(t, http.HandlerFunc(echo))
	w := askThere(e.door(t, time.Second, nobody{}), "GET", "", "")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "Nobody is there.") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, problem.New(problem.Unavailable, "not_ready", "Nobody is there.")
}

func TestARoomThatHangsIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	e := newElsewhere(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) })
	w := askThere(e.door(t, 100*time.Millisecond, e.transport()), "POST", "a body", "k")
	if w.Code != http.StatusGatewayTimeout || !strings.Contains(w.Body.String(), "deadline_exceeded") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
