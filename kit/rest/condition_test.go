package rest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/rest"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		list string
		want bool
	}{
		{`"v1"`, true},
		{`W/"v1"`, true},
		{`"v0", "v1"`, true},
		{`"v0" ,W/"v1" `, true},
		{"*", true},
		{" * ", true},
		{"", false},
		{`"v2"`, false},
		{`v1`, false},
		{`"v1`, false},
		{`"v0",v1`, false},
		{`W/`, false},
		{`"`, false},
		{`*, "v2"`, false},
		{`"v0""v1"`, true},
	} {
		if got := rest.Matches(c.list, `"v1"`); got != c.want {
			t.Errorf("%s: %v", c.list, got)
		}
	}
}

func FuzzMatches(f *testing.F) {
	f.Add(`"a", W/"b"`, `"b"`)
	f.Fuzz(func(t *testing.T, list, tag string) {
		if rest.Matches(list, `"`+tag+`"`) && !strings.Contains(list, tag) && !strings.Contains(list, "*") {
			t.Errorf("%q names %q", list, tag)
		}
	})
}

func TestConditions(t *testing.T) {
	for name, c := range map[string]struct {
		method, what, header, value string
		status                      int
	}{
		"the client has it":                  {"GET", "mine", "If-None-Match", `"v1"`, 304},
		"the client has it, HEAD":            {"HEAD", "mine", "If-None-Match", `"v1"`, 304},
		"the client has an older one":        {"GET", "mine", "If-None-Match", `"v0"`, 200},
		"the client has any":                 {"GET", "mine", "If-None-Match", `*`, 304},
		"a public one":                       {"GET", "shelf", "If-None-Match", `W/"v1"`, 304},
		"an answer without version":          {"GET", "b_1", "If-None-Match", `*`, 200},
		"a change of the right version":      {"PUT", "guarded", "If-Match", `"v1"`, 200},
		"a change of whatever is there":      {"PUT", "guarded", "If-Match", `*`, 200},
		"a change without a condition":       {"PUT", "guarded", "X-None", ``, 200},
		"a change of a lost version":         {"PUT", "guarded", "If-Match", `"v0"`, 412},
		"a change under a malformed version": {"PUT", "guarded", "If-Match", `v1`, 412},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, rest.Options{})
			w := l.ask(c.method, "/api/books/"+c.what, "", c.header, c.value)
			if w.Code != c.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, c.status)
			}
			if w.Code == 304 && (w.Body.Len() > 0 || w.Header().Get("Etag") != `"v1"` || w.Header().Get("Content-Type") != "") {
				t.Errorf("304 with %v %s", w.Header(), w.Body)
			}
		})
	}
}

const shelf = "/api/books/shelf?text=a"

func TestKeptPages(t *testing.T) {
	guest := &rest.Call{RequestID: "req_1"}
	staff := &rest.Call{RequestID: "req_2", Principal: auth.Principal{Kind: auth.Staff, ID: "key"}}
	t.Run("a page is encoded once for each version", func(t *testing.T) {
		l := open(t, rest.Options{})
		first := l.ask("GET", shelf, "").Body.String()
		for range 3 {
			if again := l.ask("GET", shelf, ""); again.Body.String() != first || again.Code != 200 || again.Header().Get("Etag") != `"v1"` {
				t.Fatalf("%d %s", again.Code, again.Body)
			}
		}
		if l.asked.Load() != 4 || l.full.Load() != 1 {
			t.Errorf("asked %d times, answered in full %d times", l.asked.Load(), l.full.Load())
		}
		l.restock("v2")
		if w := l.ask("GET", shelf, ""); !strings.Contains(w.Body.String(), "shelf/a/v2") {
			t.Errorf("after the change: %s", w.Body)
		}
	})
	t.Run("another kind of principal, query or path has its own", func(t *testing.T) {
		l := open(t, rest.Options{})
		l.askAs(guest, "GET", shelf, "")
		if w := l.askAs(staff, "GET", shelf, ""); !strings.Contains(w.Body.String(), "staff:key") {
			t.Errorf("staff got the guests' page: %s", w.Body)
		}
		if w := l.askAs(guest, "GET", shelf+"b", ""); !strings.Contains(w.Body.String(), "shelf/ab/v1") {
			t.Errorf("%s", w.Body)
		}
	})
	t.Run("what is not public is not kept", func(t *testing.T) {
		l := open(t, rest.Options{})
		for range 3 {
			l.ask("GET", "/api/books/mine", "")
		}
		if l.full.Load() != 3 {
			t.Errorf("answered in full %d times", l.full.Load())
		}
	})
}

func TestKeptPagesAndTheClientsOwn(t *testing.T) {
	t.Run("the client's own version comes before the kept page", func(t *testing.T) {
		l := open(t, rest.Options{})
		l.ask("GET", shelf, "")
		if w := l.ask("GET", shelf, "", "If-None-Match", `"v1"`); w.Code != 304 || w.Body.Len() > 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := l.ask("HEAD", shelf, ""); w.Code != 200 || w.Body.Len() > 0 {
			t.Errorf("HEAD: %d %s", w.Code, w.Body)
		}
		l.restock("v2")
		if w := l.ask("GET", shelf, "", "If-None-Match", `"v1"`); w.Code != 200 || !strings.Contains(w.Body.String(), "v2") {
			t.Errorf("after the change: %d %s", w.Code, w.Body)
		}
		l.restock("v1")
		if w := l.ask("GET", shelf, "", "If-None-Match", `"v2"`); !strings.Contains(w.Body.String(), "shelf/a/v1") {
			t.Errorf("back again: %d %s", w.Code, w.Body)
		}
	})
	t.Run("no change while a guest's version is unknown here leaves an empty page behind", func(t *testing.T) {
		l := open(t, rest.Options{})
		if w := l.ask("GET", shelf, "", "If-None-Match", `"v1"`); w.Code != 304 {
			t.Fatalf("%d", w.Code)
		}
		if w := l.ask("GET", shelf, ""); !strings.Contains(w.Body.String(), "shelf/a/v1") {
			t.Errorf("%s", w.Body)
		}
	})
}

func TestYoungPages(t *testing.T) {
	t.Run("a young page is not asked for", func(t *testing.T) {
		l := open(t, rest.Options{})
		l.young = time.Hour // bounded to YoungMax
		l.ask("GET", shelf, "")
		l.restock("v2")
		l.clock.Advance(rest.YoungMax - time.Millisecond)
		w := l.ask("GET", shelf, "")
		if l.asked.Load() != 1 || w.Header().Get("Age") != "0" || !strings.Contains(w.Body.String(), "v1") {
			t.Errorf("asked %d times, %v %s", l.asked.Load(), w.Header(), w.Body)
		}
		if w := l.ask("GET", shelf, "", "If-None-Match", `"v1"`); w.Code != 304 || l.asked.Load() != 1 {
			t.Errorf("%d", w.Code)
		}
		l.clock.Advance(time.Millisecond)
		if w := l.ask("GET", shelf, ""); !strings.Contains(w.Body.String(), "v2") || w.Header().Get("Age") != "" {
			t.Errorf("when it is old: %v %s", w.Header(), w.Body)
		}
	})
}

func TestPagesAreBounded(t *testing.T) {
	t.Run("pages are bounded in number and in bytes", func(t *testing.T) {
		l := open(t, rest.Options{CacheEntries: 2})
		for i := range 3 {
			l.ask("GET", fmt.Sprint("/api/books/shelf?text=", i), "")
		}
		l.ask("GET", "/api/books/shelf?text=2", "")
		l.ask("GET", "/api/books/shelf?text=0", "")
		if l.full.Load() != 4 {
			t.Errorf("answered in full %d times, want 4", l.full.Load())
		}
		small := open(t, rest.Options{CacheBytes: 100})
		small.ask("GET", shelf, "")
		small.ask("GET", shelf, "")
		if small.full.Load() != 2 {
			t.Errorf("kept more than it may")
		}
	})
}
