package route_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/kit/rest/route"
)

func table(t testing.TB, routes ...string) *route.Table[string] {
	t.Helper()
	made := new(route.Table[string])
	for _, r := range routes {
		method, pattern, _ := strings.Cut(r, " ")
		if err := made.Add(method, pattern, r); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

var shop = []string{
	"GET /api/books", "POST /api/books:batch", "GET /api/books/{id}", "PUT /api/books/{book.id}", "DELETE /api/books/{id}",
	"POST /api/books/search", "POST /api/loans/{id}:return", "GET /api/loans/{id}/lines/{sku}", "GET /files/{path=**}", "GET /notes/{path...}", "* /hooks/{who}", "GET /",
}

func TestFind(t *testing.T) {
	books := table(t, shop...)
	for name, c := range map[string]struct{ method, path, want string }{
		"a literal":                                    {"GET", "/api/books", "GET /api/books"},
		"a variable":                                   {"GET", "/api/books/b_1", "GET /api/books/{id}"},
		"the same shape by method":                     {"PUT", "/api/books/b_1", "PUT /api/books/{book.id}"},
		"HEAD is GET":                                  {"HEAD", "/api/books/b_1", "GET /api/books/{id}"},
		"a literal verb":                               {"POST", "/api/books:batch", "POST /api/books:batch"},
		"a verb behind a variable":                     {"POST", "/api/loans/l_1:return", "POST /api/loans/{id}:return"},
		"an id with a colon and a verb":                {"POST", "/api/loans/l:1:return", "POST /api/loans/{id}:return"},
		"a verb without an id is nothing":              {"POST", "/api/loans/:return", ""},
		"a literal wins":                               {"POST", "/api/books/search", "POST /api/books/search"},
		"a literal without the method gives way":       {"GET", "/api/books/search", "GET /api/books/{id}"},
		"two variables":                                {"GET", "/api/loans/l_1/lines/A%2FB", "GET /api/loans/{id}/lines/{sku}"},
		"an escaped slash stays in its segment":        {"GET", "/api/books/a%2Fb", "GET /api/books/{id}"},
		"a trailing slash is another path":             {"GET", "/api/books/", ""},
		"a trailing slash behind a variable, too":      {"GET", "/api/books/b_1/", ""},
		"an empty segment is nothing":                  {"GET", "/api//books", ""},
		"two leading slashes":                          {"GET", "//api/books", ""},
		"dots are not resolved":                        {"GET", "/api/x/../books", ""},
		"the rest":                                     {"GET", "/files/a/b/c", "GET /files/{path=**}"},
		"the rest may be empty":                        {"GET", "/files/", "GET /files/{path=**}"},
		"but its slash is there":                       {"GET", "/files", ""},
		"the rest in the words of net/http":            {"GET", "/notes/a/b", "GET /notes/{path...}"},
		"any method":                                   {"PATCH", "/hooks/bank", "* /hooks/{who}"},
		"the root":                                     {"GET", "/", "GET /"},
		"a path without a slash":                       {"GET", "api/books", ""},
		"the asterisk of OPTIONS":                      {"OPTIONS", "*", ""},
		"an unknown method":                            {"BREW", "/api/books", ""},
		"letters are told apart by case":               {"GET", "/API/books", ""},
		"an escaped literal is not the literal itself": {"GET", "/%61pi/books", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := books.Find(c.method, c.path)
			if got.Value != c.want || ok != (c.want != "") {
				t.Errorf("%s %s is served by %q, want %q", c.method, c.path, got.Value, c.want)
			}
		})
	}
}

func TestAllow(t *testing.T) {
	books := table(t, shop...)
	for path, want := range map[string]string{
		"/api/books":        "GET, HEAD",
		"/api/books/search": "DELETE, GET, HEAD, POST, PUT",
		"/api/books:batch":  "POST",
		"/nowhere":          "",
	} {
		if got := books.Allow(path); got != want {
			t.Errorf("%s allows %q, want %q", path, got, want)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	for name, pattern := range map[string]string{
		"no slash": "api", "a trailing slash": "/api/", "an empty segment": "/api//x", "an open variable": "/api/{id",
		"a nameless variable": "/api/{}", "text before a variable": "/api/x{id}", "the rest in the middle": "/api/{x=**}/y",
		"a template": "/api/{x=shelves/*}", "the same twice": "/api/{other}",
	} {
		t.Run(name, func(t *testing.T) {
			books := table(t, "GET /api/{id}")
			if err := books.Add("GET", pattern, ""); err == nil {
				t.Errorf("%s was accepted", pattern)
			}
		})
	}
}

func TestValues(t *testing.T) {
	for _, c := range [][3]string{
		{"/api/loans/{id}/lines/{line.sku}", "/api/loans/l_1/lines/A%2FB", "id=l_1 line.sku=A%2FB "},
		{"/api/loans/{id}:return", "/api/loans/l:1:return", "id=l:1 "},
		{"/files/{path=**}", "/files/a/b", "path=a/b "},
		{"/files/{path...}", "/files/", "path= "},
		{"/a/{x=*}/{y}", "/a/1/2", "x=1 y=2 "},
		{"/files", "/files", ""},
	} {
		var got strings.Builder
		route.Values(c[0], c[1], func(name, value string) { fmt.Fprintf(&got, "%s=%s ", name, value) })
		if got.String() != c[2] {
			t.Errorf("%s of %s: %q, want %q", c[0], c[1], got.String(), c[2])
		}
	}
}

func FuzzFind(f *testing.F) {
	books := table(f, shop...)
	for _, p := range []string{"/", "/api/books/x", "/files//", "/api/loans/:return", "//"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, ok := books.Find("GET", path)
		if !ok {
			return
		}
		route.Values(got.Pattern, path, func(name, value string) {
			if value == "" && name != "path" {
				t.Errorf("%s matched %q with an empty %s", got.Pattern, path, name)
			}
		})
	})
}

func BenchmarkFind(b *testing.B) {
	books := table(b, shop...)
	for b.Loop() {
		books.Find("GET", "/api/loans/l_1/lines/SKU")
	}
}

func Example() {
	var library route.Table[string]
	_ = library.Add("GET", "/api/books/{id}", "the shelf")
	found, _ := library.Find("GET", "/api/books/b_1")
	fmt.Println(found.Value, "serves", found.Pattern)
	fmt.Println("else:", library.Allow("/api/books/b_1"))
	// Output:
	// the shelf serves /api/books/{id}
	// else: GET, HEAD
}
