package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/gateway"
)

// listen serves a door on a real connection until the test ends.
func listen(t *testing.T, h http.Handler, drain time.Duration) (addr string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gateway.Serve(ctx, gateway.Server("", h), l, drain) }()
	var stopped bool
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

// speak sends lines as they are and reads the answer.
func speak(t *testing.T, addr, text string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return answer, string(body)
}

func TestOnTheWire(t *testing.T) {
	addr, _ := listen(t, open(t, func(o *gateway.Options) { o.BodyTime = 50 * time.Millisecond }), time.Second)
	for name, c := range map[string]struct {
		text   string
		status int
		part   string
	}{
		"a body that never comes whole": {"POST /api/books HTTP/1.1\nHost: x\nContent-Length: 10\n\n{", 408, "body_too_slow"},
		"a body longer than it may be":  {"POST /api/books HTTP/1.1\nHost: x\nContent-Length: 1000\n\n", 413, "body_too_large"},
		"a chunked body that grows":     {"POST /api/books HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n50\n" + strings.Repeat("x", 0x50) + "\n0\n\n", 413, "body_too_large"},
		"broken chunks":                 {"POST /api/books HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nzz\n", 400, "body_incomplete"},
		"a huge header":                 {"GET /api/books/b_1 HTTP/1.1\nHost: x\nX-Big: " + strings.Repeat("a", 40<<10) + "\n\n", 431, ""},
		"a path that cannot be decoded": {"GET /api/books/%zz HTTP/1.1\nHost: x\n\n", 400, ""},
		"a length and chunks at once":   {"POST /api/books HTTP/1.1\nHost: x\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n", 200, `"body":""`},
		"two lengths":                   {"POST /api/books HTTP/1.1\nHost: x\nContent-Length: 3\nContent-Length: 4\n\nabcd", 400, ""},
		"OPTIONS of everything":         {"OPTIONS * HTTP/1.1\nHost: x\nConnection: close\n\n", 200, ""}, // net/http answers it
		"an absolute address":           {"GET http://x/api/books/b_1 HTTP/1.1\nHost: y\n\n", 200, "anonymous"},
		"a keep-alive body":             {"POST /api/books HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 2\n\n{}", 200, `"body":"{}"`},
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := speak(t, addr, c.text)
			if answer.StatusCode != c.status || !strings.Contains(body, c.part) {
				t.Errorf("%d %v %s", answer.StatusCode, answer.Header, body)
			}
		})
	}
	t.Run("the connection serves on after a body", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
		defer client.CloseIdleConnections()
		for range 3 {
			answer, err := client.Post("http://"+addr+"/api/books", "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			time.Sleep(60 * time.Millisecond) // the body's time is over
		}
	})
	t.Run("HEAD has a header and no body", func(t *testing.T) {
		answer, body := speak(t, addr, "HEAD /healthz HTTP/1.1\nHost: x\nConnection: close\n\n")
		if answer.StatusCode != 200 || body != "" {
			t.Errorf("%d %q", answer.StatusCode, body)
		}
	})
}

func TestDrain(t *testing.T) {
	slow := func(enough <-chan struct{}) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			<-enough
			fmt.Fprint(w, "done")
		})
	}
	begin := func(addr string) chan string {
		got := make(chan string, 1)
		go func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			answer, err := client.Get("http://" + addr)
			if err != nil {
				got <- "cut off"
				return
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			got <- string(body)
		}()
		time.Sleep(50 * time.Millisecond)
		return got
	}
	t.Run("who is being served is served to the end", func(t *testing.T) {
		enough := make(chan struct{})
		addr, stop := listen(t, slow(enough), 5*time.Second)
		got := begin(addr)
		time.AfterFunc(50*time.Millisecond, func() { close(enough) })
		if err := stop(); err != nil || <-got != "done" {
			t.Errorf("%v", err)
		}
	})
	t.Run("but not for ever", func(t *testing.T) {
		enough := make(chan struct{})
		addr, stop := listen(t, slow(enough), 50*time.Millisecond)
		got := begin(addr)
		if err := stop(); err == nil || <-got != "cut off" {
			t.Errorf("%v", err)
		}
		close(enough)
	})
}
