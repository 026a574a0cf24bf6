package badinput

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/test/shop"
)

// Requests that no HTTP client would send, byte by byte.
var broken = []struct{ name, request string }{
	{"a path with half an escape", "GET /api/products/%zz HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"a path with a raw nul", "GET /api/products/\x00 HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"a path outside of itself", "GET /api/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"a path in all of 100 KB", "GET /api/products/" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\nHost: x\r\n\r\n"},
	{"headers of 2 MB", "GET /api/products HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", 2<<20) + "\r\n\r\n"},
	{"a header with a line break", "GET /api/products HTTP/1.1\r\nHost: x\r\nX-A: b\n c\x00\r\n\r\n"},
	{"no host", "GET /api/products HTTP/1.1\r\n\r\n"},
	{"a method that nobody knows", "FROB /api/products HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"},
	{"a body shorter than it says", "POST /api/carts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{\"lines\": ["},
	{"a length that is no number", "POST /api/carts HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n{}"},
	{"a length below zero", "POST /api/carts HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}"},
	{"two lengths", "POST /api/carts HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "},
	{"a chunk that breaks off", "POST /api/carts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n{\"li"},
	{"a chunk without a size", "POST /api/carts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"},
	{"chunks over the bound", "POST /api/carts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n200000\r\n" + strings.Repeat(" ", 0x200000) + "\r\n0\r\n\r\n"},
	{"two idempotency keys", "POST /api/checkout HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"},
	{"no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"},
}

func TestRequestsThatAreNoHTTP(t *testing.T) {
	s := set(t)
	before := s.digest(t)
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			status, text := say(t, s, b.request)
			if status < 400 || status > 499 && status != http.StatusNotImplemented || inner.MatchString(text) {
				t.Errorf("it is answered %d %.300s", status, text)
			}
		})
	}
	if after := s.digest(t); after != before {
		t.Errorf("something was changed:\n%s", difference(before, after))
	}
}

// say sends bytes and then nothing more, and reads the answer.
func say(t *testing.T, s *stage, request string) (status int, text string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(s.URL, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		_, _ = io.WriteString(c, request) // the shop may hang up before it has heard all
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("there is no answer: %v", err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	return res.StatusCode, string(body)
}

// Routes beside the contracts: webhooks, letters, traces, and what is not there.
func TestBadRequestsBesideTheContracts(t *testing.T) {
	s := set(t)
	before := s.digest(t)
	event := `{"id": "evt_1", "kind": "payment.authorized"}`
	for _, b := range []struct {
		name   string
		status int
		r      shop.Request
	}{
		{"a webhook without a signature", 401, shop.Request{Method: "POST", Path: "/api/payments/webhooks/sandbox", Body: event}},
		{"a webhook with a wrong one", 401, shop.Request{Method: "POST", Path: "/api/payments/webhooks/sandbox", Body: event, Header: map[string]string{"Sandbox-Signature": "t=1,v1=00"}}},
		{"a webhook of nobody we know", 404, shop.Request{Method: "POST", Path: "/api/payments/webhooks/nobody", Body: event}},
		{"a webhook over its bound", 413, shop.Request{Method: "POST", Path: "/api/payments/webhooks/sandbox", Body: strings.Repeat("x", 100<<10)}},
		{"letters without a token", 403, shop.Request{Method: "GET", Path: "/api/letters/"}},
		{"letters for a guest", 403, shop.Request{Method: "GET", Path: "/api/letters/", Token: s.cart.Token}},
		{"a letter that is not there, redriven", 404, shop.Request{Method: "POST", Path: "/api/letters/carts.orders:99/redrive?reason=x", Token: s.Key}},
		{"a letter that is not there, skipped", 404, shop.Request{Method: "POST", Path: "/api/letters/carts.orders:99/skip?reason=x", Token: s.Key}},
		{"letters of nobody, redriven", 404, shop.Request{Method: "POST", Path: "/api/letters/no%2Fbody/redrive?reason=x", Token: s.Key}},
		{"a trace without a token", 403, shop.Request{Method: "GET", Path: "/api/traces/req_1"}},
		{"a trace that is not there", 404, shop.Request{Method: "GET", Path: "/api/traces/req_1", Token: s.Key}},
		{"a trace with an odd id", 404, shop.Request{Method: "GET", Path: "/api/traces/..%2F..%2Fetc%2Fpasswd", Token: s.Key}},
		{"nothing there", 404, shop.Request{Method: "GET", Path: "/api/nothing"}},
		{"a slash too many", 404, shop.Request{Method: "GET", Path: "/api/products/"}},
		{"a method that is not served", 405, shop.Request{Method: "PATCH", Path: "/api/products/prd_A", Token: s.Key, Body: "{}"}},
		{"a method that is not served, on a cart", 405, shop.Request{Method: "DELETE", Path: "/api/carts/" + s.cart.ID, Token: s.cart.Token}},
	} {
		t.Run(b.name, func(t *testing.T) {
			a, err := s.Try(b.r)
			if err != nil || a.Status != b.status {
				t.Errorf("it is answered %s, want %d (%v)", a, b.status, err)
			} else if wrong := refusal(a, "", false); wrong != "" {
				t.Errorf("%s: %s", wrong, a)
			}
		})
	}
	if after := s.digest(t); after != before {
		t.Errorf("something was changed:\n%s", difference(before, after))
	}
}
