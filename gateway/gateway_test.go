package gateway_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/seed-21071466/souk/gateway"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doorkeeper knows two tokens.
type doorkeeper struct{}

func (doorkeeper) Authenticate(token string) (auth.Principal, bool) {
	switch token {
	case "staff-token":
		return auth.Principal{Kind: auth.Staff, ID: "key"}, true
	case "card_1.mac":
		return auth.Principal{Kind: auth.Bearer, ID: "card_1"}, true
	}
	return auth.Principal{}, false
}

// door is a gateway before a room that tells what it was told.
type door struct {
	*gateway.Gateway
	clock *clock.Fake
	logs  *bytes.Buffer
	asked int

	hungUp chan struct{} // closed when a client did, of /api/books/hung-up
}

func open(t testing.TB, change func(*gateway.Options)) *door {
	t.Helper()
	d := &door{clock: clock.NewFake(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), logs: new(bytes.Buffer)}
	o := gateway.Options{
		Routes: []gateway.Route{
			{Method: "GET", Pattern: "/api/books/{id}", Room: "library"},
			{Method: "POST", Pattern: "/api/books", Room: "library", BodyMax: 64},
			{Method: "POST", Pattern: "/api/books:batch", Room: "library", BodyMax: 1 << 10},
			{Method: "*", Pattern: "/api/hooks/{who}", Room: "library", OwnAuth: true},
		},
		Rooms: map[string]http.Handler{"library": http.HandlerFunc(d.serve)},
		Auth:  doorkeeper{}, Clock: d.clock, IDs: id.NewFixed(), Limits: gateway.Limits{Off: true},
		Log: slog.New(slog.NewTextHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	if change != nil {
		change(&o)
	}
	made, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.Gateway = made
	return d
}

func (d *door) serve(w http.ResponseWriter, r *http.Request) {
	d.asked++
	switch r.URL.Path {
	case "/api/books/panic":
		panic("at the disco")
	case "/api/books/half":
		fmt.Fprint(w, "half")
		panic("at the disco")
	case "/api/books/slow":
		d.clock.Advance(2 * time.Second)
	case "/api/books/late":
		<-r.Context().Done()
		http.Error(w, "late", http.StatusGatewayTimeout)
		return
	case "/api/books/patient":
		<-r.Context().Done()
		fmt.Fprint(w, rest.CallFrom(r.Context()).Patient.Err())
		return
	case "/api/books/hung-up":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-rest.CallFrom(r.Context()).Patient.Done()
		close(d.hungUp)
		return
	case "/api/books/failed":
		http.Error(w, "failed", http.StatusBadGateway)
		return
	case "/api/books/silent":
		return
	}
	body, _ := io.ReadAll(r.Body)
	c := rest.CallFrom(r.Context())
	_ = json.NewEncoder(w).Encode(map[string]string{
		"principal": c.Principal.String(), "request": c.RequestID, "trace": c.TraceParent, "state": c.TraceState, "key": c.IdempotencyKey,
		"digest": hex.EncodeToString(c.Digest[:]), "body": string(body), "header": fmt.Sprint(r.Header),
	})
}

func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func told(t testing.TB, w *httptest.ResponseRecorder) map[string]string {
	t.Helper()
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var m map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		code                 string
	}{
		"no such address":                    {"GET", "/api/nowhere", "", nil, 404, "route_not_found"},
		"a trailing slash":                   {"GET", "/api/books/b_1/", "", nil, 404, "route_not_found"},
		"an empty id":                        {"GET", "/api/books/", "", nil, 404, "route_not_found"},
		"dots":                               {"GET", "/api/books/../books/b_1", "", nil, 404, "route_not_found"},
		"another method":                     {"DELETE", "/api/books/b_1", "", nil, 405, "method_not_allowed"},
		"a method of the client's invention": {"BREW", "/api/books/b_1", "", nil, 405, "method_not_allowed"},
		"a method that another one overrides": {
			"POST", "/api/books/b_1", "", []string{"X-Http-Method-Override", "GET"}, 405, "method_not_allowed",
		},
		"a wrong token":                {"GET", "/api/books/b_1", "", []string{"Authorization", "Bearer nobody"}, 401, "credentials_invalid"},
		"another scheme":               {"GET", "/api/books/b_1", "", []string{"Authorization", "Basic c3RhZmYtdG9rZW4="}, 401, "credentials_invalid"},
		"a scheme without a token":     {"GET", "/api/books/b_1", "", []string{"Authorization", "Bearer"}, 401, "credentials_invalid"},
		"an empty Authorization":       {"GET", "/api/books/b_1", "", []string{"Authorization", ""}, 401, "credentials_invalid"},
		"a token without end":          {"GET", "/api/books/b_1", "", []string{"Authorization", "Bearer " + strings.Repeat("a", 5000)}, 401, "credentials_invalid"},
		"two Authorization headers":    {"GET", "/api/books/b_1", "", []string{"Authorization", "Bearer staff-token", "Authorization", "Bearer card_1.mac"}, 400, "invalid_request"},
		"a body over the bound":        {"POST", "/api/books", long, nil, 413, "body_too_large"},
		"an empty idempotency key":     {"POST", "/api/books", "{}", []string{"Idempotency-Key", ""}, 400, "invalid_request"},
		"a key with a space":           {"POST", "/api/books", "{}", []string{"Idempotency-Key", "a b"}, 400, "invalid_request"},
		"a key that is not ASCII":      {"POST", "/api/books", "{}", []string{"Idempotency-Key", "é"}, 400, "invalid_request"},
		"a key that is too long":       {"POST", "/api/books", "{}", []string{"Idempotency-Key", long}, 400, "invalid_request"},
		"two idempotency keys":         {"POST", "/api/books", "{}", []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 400, "invalid_request"},
		"a route that only staff knew": {"GET", "/metrics", "", nil, 404, "route_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, nil)
			w := ask(d, c.method, c.target, c.body, c.header...)
			var p struct {
				Code, Instance string
				Status         int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != c.status || p.Status != c.status || p.Code != c.code || w.Header().Get("Content-Type") != rest.ContentProblem {
				t.Errorf("%d %v %s, want %d %s", w.Code, w.Header(), w.Body, c.status, c.code)
			}
			if p.Instance == "" || p.Instance != w.Header().Get("X-Request-Id") || len(w.Header().Get("Traceparent")) != 55 {
				t.Errorf("instance %q, header %v", p.Instance, w.Header())
			}
			if c.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", w.Header().Get("Allow"))
			}
			if c.status == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), `Bearer realm=`) {
				t.Errorf("WWW-Authenticate: %q", w.Header().Get("WWW-Authenticate"))
			}
			if d.asked > 0 {
				t.Error("the room was asked")
			}
		})
	}
}

func TestWhatTheRoomLearns(t *testing.T) {
	d := open(t, nil)
	t.Run("nobody in particular", func(t *testing.T) {
		got := told(t, ask(d, "GET", "/api/books/b_1", ""))
		if got["principal"] != "anonymous" || got["request"] != "req_000001" || got["key"] != "" {
			t.Errorf("%v", got)
		}
	})
	t.Run("the principal and never the token", func(t *testing.T) {
		for token, want := range map[string]string{"Bearer staff-token": "staff:key", "bearer  card_1.mac ": "bearer:card_1"} {
			got := told(t, ask(d, "GET", "/api/books/b_1", "", "Authorization", token))
			if got["principal"] != want || strings.Contains(got["header"], "uthorization") {
				t.Errorf("%v", got)
			}
		}
	})
	t.Run("a webhook's own credentials", func(t *testing.T) {
		got := told(t, ask(d, "POST", "/api/hooks/bank", "{}", "Authorization", "Basic x"))
		if got["principal"] != "anonymous" || !strings.Contains(got["header"], "Basic x") {
			t.Errorf("%v", got)
		}
	})
	t.Run("no header by which a client plays the gateway", func(t *testing.T) {
		got := told(t, ask(d, "GET", "/api/books/b_1", "", "Souk-Principal", "staff;x;;", "souk-request-digest", "00",
			"Grpc-Metadata-Souk-Principal", "staff;x;;", "Grpc-Timeout", "1n", "Grpcgateway-Authorization", "x", "Accept", "text/plain"))
		if got["header"] != "map[Accept:[text/plain] Traceparent:["+got["trace"]+"]]" || got["principal"] != "anonymous" {
			t.Errorf("%v", got)
		}
	})
	t.Run("the client's request id, if it is one", func(t *testing.T) {
		if got := told(t, ask(d, "GET", "/api/books/b_1", "", "X-Request-Id", "mine-1")); got["request"] != "mine-1" {
			t.Errorf("%v", got)
		}
		for _, bad := range []string{"a b", "a\nb", strings.Repeat("a", 65), "", "<script>"} {
			if got := told(t, ask(d, "GET", "/api/books/b_1", "", "X-Request-Id", bad)); !id.Has("req", got["request"]) {
				t.Errorf("%q was taken: %v", bad, got)
			}
		}
	})
	t.Run("the body whole, and the bound of its route", func(t *testing.T) {
		long := strings.Repeat("x", 1000)
		if got := told(t, ask(d, "POST", "/api/books:batch", long)); got["body"] != long {
			t.Errorf("%v", got)
		}
	})
	t.Run("the digest of method, address and body under a key", func(t *testing.T) {
		digest := func(target, body string) string {
			return told(t, ask(d, "POST", target, body, "Idempotency-Key", "k!~"))["digest"]
		}
		one := digest("/api/books", `{"a":1}`)
		if one != digest("/api/books", `{"a":1}`) {
			t.Error("the same request has another digest")
		}
		for _, other := range []string{digest("/api/books", `{"a":2}`), digest("/api/books?x=1", `{"a":1}`), digest("/api/hooks/x", `{"a":1}`), digest("/api/books", "")} {
			if other == one {
				t.Error("another request has the same digest")
			}
		}
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	f.Add("k-1")
	f.Add("a\x00b")
	d := open(f, nil)
	f.Fuzz(func(t *testing.T, key string) {
		w := ask(d, "POST", "/api/books", "{}", "Idempotency-Key", key)
		ok := len(key) >= 1 && len(key) <= 255 && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
		if ok != (w.Code == 200) {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
	})
}

func TestPanic(t *testing.T) {
	d := open(t, nil)
	w := ask(d, "GET", "/api/books/panic", "")
	if w.Code != 500 || strings.Contains(w.Body.String(), "disco") || !strings.Contains(w.Body.String(), `"code":"internal"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(d.logs.String(), "disco") || !strings.Contains(d.logs.String(), "gateway_test.go") {
		t.Errorf("log: %s", d.logs)
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("half an answer was taken for a whole one")
		}
	}()
	ask(d, "GET", "/api/books/half", "")
}

func TestBounds(t *testing.T) {
	t.Run("a request that takes too long hears its end", func(t *testing.T) {
		d := open(t, func(o *gateway.Options) { o.TimeMax = 10 * time.Millisecond })
		if w := ask(d, "GET", "/api/books/late", ""); w.Code != 504 {
			t.Errorf("%d", w.Code)
		}
	})
	t.Run("an answer that bounds itself outlives the time of its route", func(t *testing.T) {
		d := open(t, func(o *gateway.Options) { o.TimeMax = 10 * time.Millisecond })
		if w := ask(d, "GET", "/api/books/patient", ""); w.Body.String() != "<nil>" {
			t.Errorf("it ended: %s", w.Body)
		}
	})
	t.Run("but not its client", func(t *testing.T) {
		d := open(t, nil)
		d.hungUp = make(chan struct{})
		server := httptest.NewServer(d)
		defer server.Close()
		ctx, hangUp := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/books/hung-up", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		hangUp()
		<-d.hungUp
	})
	t.Run("routes that cannot be served are refused at the start", func(t *testing.T) {
		room := map[string]http.Handler{"a": http.NotFoundHandler()}
		for name, routes := range map[string][]gateway.Route{
			"no such room":      {{Method: "GET", Pattern: "/x", Room: "b"}},
			"the same twice":    {{Method: "GET", Pattern: "/x", Room: "a"}, {Method: "GET", Pattern: "/x", Room: "a"}},
			"our own addresses": {{Method: "GET", Pattern: "/healthz", Room: "a"}},
			"too much time":     {{Method: "GET", Pattern: "/x", Room: "a", TimeMax: time.Hour}},
		} {
			if _, err := gateway.New(gateway.Options{Routes: routes, Rooms: room}); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	})
}

func TestOwnAddresses(t *testing.T) {
	ready := errors.New("the disk is full")
	d := open(t, func(o *gateway.Options) {
		o.Ready = func(context.Context) error { return ready }
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "numbers") })
		o.OpenAPI, o.Title = []byte(`{}`), "A library"
		o.Limits = gateway.Limits{Anonymous: gateway.Rate{PerSecond: 1, Burst: 1}}
	})
	for range 3 { // never limited
		for target, want := range map[string]string{"/healthz": "ok\n", "/metrics": "numbers", "/openapi.json": "{}"} {
			if w := ask(d, "GET", target, "", "Authorization", "Basic x"); w.Code != 200 || w.Body.String() != want {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
	}
	if w := ask(d, "GET", "/readyz", ""); w.Code != 503 || strings.Contains(w.Body.String(), "disk") || w.Header().Get("Retry-After") == "" {
		t.Errorf("not ready: %d %s", w.Code, w.Body)
	}
	ready = nil
	if w := ask(d, "GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("ready: %d %s", w.Code, w.Body)
	}
	if w := ask(d, "POST", "/healthz", ""); w.Code != 405 {
		t.Errorf("%d", w.Code)
	}
}

func TestObserved(t *testing.T) {
	registry := prometheus.NewRegistry()
	d := open(t, func(o *gateway.Options) { o.Registerer = registry })
	for _, target := range []string{"b_1", "b_2", "silent", "failed", "slow", "panic"} {
		ask(d, "GET", "/api/books/"+target+"?secret=1", "", "Authorization", "Bearer staff-token")
	}
	for i := range 20 {
		ask(d, fmt.Sprint("M", i), fmt.Sprint("/nowhere/", i), "")
	}
	want := `
# HELP souk_http_requests_total Requests answered, by route, method and class of status.
# TYPE souk_http_requests_total counter
souk_http_requests_total{method="GET",route="/api/books/{id}",status="2xx"} 4
souk_http_requests_total{method="GET",route="/api/books/{id}",status="5xx"} 2
souk_http_requests_total{method="other",route="unmatched",status="4xx"} 20
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "souk_http_requests_total"); err != nil {
		t.Error(err)
	}
	logs := d.logs.String()
	if n := strings.Count(logs, "msg=request"); n != 3 { // failed, slow, panic
		t.Errorf("%d lines for requests:\n%s", n, logs)
	}
	if strings.Contains(logs, "secret") || strings.Contains(logs, "staff-token") || !strings.Contains(logs, "principal=staff:key") {
		t.Errorf("log: %s", logs)
	}
}

// BenchmarkGateway measures the gateway with limits, metrics and a signed guest, before a room that does nothing.
func BenchmarkGateway(b *testing.B) {
	d := open(b, func(o *gateway.Options) {
		o.Limits = gateway.Limits{Guest: gateway.Rate{PerSecond: 1e9, Burst: 1e9}}
		o.Rooms = map[string]http.Handler{"library": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
		o.IDs = id.NewSource(clock.System{})
	})
	w := quiet{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: "/api/books/b_1"}, RemoteAddr: "192.0.2.1:1", Header: http.Header{
			"Authorization": {"Bearer card_1.mac"}, "Accept": {"*/*"}, "User-Agent": {"bench"},
		}}
		d.ServeHTTP(w, r)
	}
}

// quiet is an http.ResponseWriter that costs nothing.
type quiet struct{ header http.Header }

func (q quiet) Header() http.Header       { return q.header }
func (quiet) Write(b []byte) (int, error) { return len(b), nil }
func (quiet) WriteHeader(int)             {}
