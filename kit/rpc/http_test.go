package rpc_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	rpctestv1 "github.com/seed-21071466/souk/gen/kit/rpctest/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// named answers with a name.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })
}

// sending asks the library by plain HTTP.
func sending(t *testing.T, s *rpc.Server) func() (string, error) {
	t.Helper()
	tr, err := s.Transport("library")
	if err != nil {
		t.Fatal(err)
	}
	return func() (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop.example/api/books", nil)
		if err != nil {
			return "", err
		}
		return told(tr.RoundTrip(req))
	}
}

func told(res *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

func TestHTTPGoesTheWayOfCalls(t *testing.T) {
	dir := t.TempDir()
	library := rpc.NewServer(rpc.Options{Log: quiet, Keys: keys(t, dir, "library")})
	rpctestv1.RegisterProbeServer(library.For("library"), struct {
		rpctestv1.UnimplementedProbeServer
	}{})
	at := serve(t, library, listen(t, "127.0.0.1:0"), rpc.ServeOptions{Notice: time.Millisecond, HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := identity.From(r.Context())
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Method, " ", r.Host, r.URL.Path, " ", string(body), " ", from.Is(identity.Gateway), from.Is("library"))
	})})
	front := rpc.NewServer(rpc.Options{Log: quiet, Keys: keys(t, dir, identity.Gateway)})
	reach(t, front, "library", "static:"+at.addr)
	lost := rpc.NewServer(rpc.Options{Log: quiet, Keys: keys(t, dir, identity.Gateway), Patience: soon})
	reach(t, lost, "archive", "static:"+at.addr) // whose certificate is the library's
	tr, err := front.Transport("library")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://shop.example/api/books", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := told(tr.RoundTrip(req)); err != nil || got != "POST shop.example/api/books hello true false" {
		t.Errorf("got %q, %v", got, err)
	}
	if tr, err = lost.Transport("archive"); err != nil {
		t.Fatal(err)
	}
	if _, err := told(tr.RoundTrip(req.Clone(t.Context()))); !problem.Is(err, "not_ready") {
		t.Errorf("another room's certificate: %v", err)
	}
	if _, err := front.Transport("nobody"); err == nil {
		t.Error("a room that is not reached has a transport")
	}
}

func TestHTTPIsRepeatedWhereItDoesNoHarm(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  string
		key     string
		rewinds bool
		want    string // "" for connection_lost
	}{
		{"what only reads", http.MethodGet, "", false, "again"},
		{"what has a key", http.MethodPost, "k1", true, "again hello"},
		{"not what has a key and a body that comes once", http.MethodPost, "k1", false, ""},
		{"not what has none", http.MethodPost, "", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked atomic.Int32
			at := serve(t, branch(library{}), listen(t, "127.0.0.1:0"), rpc.ServeOptions{Notice: time.Millisecond, HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if asked.Add(1) == 1 {
					panic(http.ErrAbortHandler) // hangs up on the first
				}
				fmt.Fprint(w, strings.TrimSpace("again "+string(body)))
			})})
			s, _ := reader(t, "static:"+at.addr, rpc.Options{})
			tr, err := s.Transport("library")
			if err != nil {
				t.Fatal(err)
			}
			var body io.Reader
			if c.method == http.MethodPost {
				body = bytes.NewReader([]byte("hello"))
			}
			if body != nil && !c.rewinds {
				body = io.MultiReader(body)
			}
			req, err := http.NewRequestWithContext(t.Context(), c.method, "http://x/", body)
			if err != nil {
				t.Fatal(err)
			}
			if c.key != "" {
				req.Header.Set("Idempotency-Key", c.key)
			}
			got, err := told(tr.RoundTrip(req))
			if got != c.want || c.want != "" && err != nil || c.want == "" && !problem.Is(err, "connection_lost") {
				t.Errorf("got %q, %v after %d", got, err, asked.Load())
			}
		})
	}
}

func TestHTTPWaitsForARoomThatHasJustGone(t *testing.T) {
	first := serve(t, branch(library{}), listen(t, "127.0.0.1:0"), rpc.ServeOptions{Notice: 200 * time.Millisecond, HTTP: named("first")})
	s, _ := reader(t, "static:"+first.addr, rpc.Options{})
	ask := sending(t, s)
	if got, err := ask(); err != nil || got != "first" {
		t.Fatalf("got %q, %v", got, err)
	}
	first.stop()
	<-first.ended
	tr, err := s.Transport("library")
	if err != nil {
		t.Fatal(err)
	}
	var restarted sync.WaitGroup
	restarted.Go(func() {
		time.Sleep(100 * time.Millisecond) // the request comes while nobody is there
		serve(t, branch(library{}), listen(t, first.addr), rpc.ServeOptions{Notice: time.Millisecond, HTTP: named("second")})
	})
	defer restarted.Wait()
	// A body that comes once, and no key: it is certain that nobody has heard it.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x/", io.MultiReader(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := told(tr.RoundTrip(req)); err != nil || got != "second" {
		t.Errorf("got %q, %v", got, err)
	}
}
