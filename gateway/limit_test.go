package gateway_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/gateway"
)

func TestClientAddress(t *testing.T) {
	for name, c := range map[string]struct {
		peer string
		xff  []string
		same string // another peer that shares its bucket
	}{
		"nobody is believed without trust":     {"203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9:2"},
		"a trusted proxy is believed":          {"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1:9"},
		"but not what the client wrote before": {"10.0.0.1:1", []string{"6.6.6.6, 198.51.100.1"}, "198.51.100.1:9"},
		"through two proxies and two headers":  {"10.0.0.1:1", []string{"6.6.6.6, 198.51.100.1", "10.0.0.2"}, "198.51.100.1:9"},
		"nonsense ends the way":                {"10.0.0.1:1", []string{"198.51.100.1, nonsense"}, "10.0.0.1:9"},
		"an IPv6 network is one client":        {"[2001:db8:1:2:3::4]:1", nil, "[2001:db8:1:2:ffff::]:1"},
		"IPv4 within IPv6":                     {"[::ffff:203.0.113.9]:1", nil, "203.0.113.9:1"},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, func(o *gateway.Options) {
				o.Limits = gateway.Limits{Anonymous: gateway.Rate{PerSecond: 0.001, Burst: 1}}
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			})
			from := func(peer string, xff []string) int {
				r := httptest.NewRequest("GET", "/api/books/b_1", nil)
				r.RemoteAddr, r.Header["X-Forwarded-For"] = peer, xff
				w := httptest.NewRecorder()
				d.ServeHTTP(w, r)
				return w.Code
			}
			if code := from(c.peer, c.xff); code != 200 {
				t.Fatalf("first: %d", code)
			}
			if code := from(c.same, nil); code != 429 {
				t.Errorf("%s has a bucket of its own", c.same)
			}
			if code := from("192.0.2.77:1", nil); code != 200 {
				t.Error("a stranger pays for it")
			}
		})
	}
}

func TestLimit(t *testing.T) {
	limits := gateway.Limits{Anonymous: gateway.Rate{PerSecond: 2, Burst: 4}, Guest: gateway.Rate{PerSecond: 1, Burst: 2}, Staff: gateway.Rate{PerSecond: 100, Burst: 100}}
	d := open(t, func(o *gateway.Options) { o.Limits = limits })
	for i := range 4 {
		w := ask(d, "GET", "/api/books/b_1", "")
		want := fmt.Sprintf(`"address";r=%d;t=%d`, 3-i, (i+2)/2)
		if w.Code != 200 || w.Header().Get("RateLimit") != want || w.Header().Get("RateLimit-Policy") != `"address";q=4;w=2` {
			t.Fatalf("request %d: %d %v, want %s", i, w.Code, w.Header(), want)
		}
	}
	w := ask(d, "GET", "/api/books/b_1", "")
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"code":"rate_limited"`) || !strings.HasPrefix(w.Header().Get("RateLimit"), `"address";r=0;t=2`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	t.Run("a principal has a bucket of its own", func(t *testing.T) {
		if w := ask(d, "GET", "/api/books/b_1", "", "Authorization", "Bearer card_1.mac"); w.Code != 200 || w.Header().Get("RateLimit") != `"guest";r=1;t=1` {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
	t.Run("guessing tokens is limited by address", func(t *testing.T) {
		if w := ask(d, "GET", "/api/books/b_1", "", "Authorization", "Bearer guess"); w.Code != 429 {
			t.Errorf("%d", w.Code)
		}
	})
	t.Run("a bucket fills again, and no further than full", func(t *testing.T) {
		d.clock.Advance(499 * time.Millisecond)
		if w := ask(d, "GET", "/api/books/b_1", ""); w.Code != 429 {
			t.Errorf("too early: %d", w.Code)
		}
		d.clock.Advance(time.Millisecond)
		if w := ask(d, "GET", "/api/books/b_1", ""); w.Code != 200 {
			t.Errorf("in time: %d", w.Code)
		}
		d.clock.Advance(time.Hour)
		if w := ask(d, "GET", "/api/books/b_1", ""); w.Header().Get("RateLimit") != `"address";r=3;t=1` {
			t.Errorf("%v", w.Header())
		}
		d.clock.Advance(-time.Hour)
		if w := ask(d, "GET", "/api/books/b_1", ""); w.Header().Get("RateLimit") != `"address";r=2;t=1` {
			t.Errorf("after the clock went back: %v", w.Header())
		}
	})
	t.Run("clients without number do not fill the memory", func(t *testing.T) {
		few := limits
		few.Entries = 32
		d := open(t, func(o *gateway.Options) { o.Limits = few })
		for i := range 1000 {
			r := httptest.NewRequest("GET", "/api/books/b_1", nil)
			r.RemoteAddr = fmt.Sprintf("10.1.%d.%d:1", i/250, i%250)
			d.ServeHTTP(httptest.NewRecorder(), r)
		}
		if n := d.Remembered(); n > 32 {
			t.Errorf("%d clients are remembered", n)
		}
	})
}
