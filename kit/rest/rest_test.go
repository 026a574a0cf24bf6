package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/rest"
)

func TestAnswers(t *testing.T) {
	l := open(t, rest.Options{})
	for name, c := range map[string]struct {
		method, target, body string
		status               int
		want                 string // part of the body
	}{
		"proto names and defaults, always the same bytes": {"GET", "/api/books/b_1", "", 200, `{"text":"b_1//v1","items":[],"principal":"anonymous","request_id":"req_1","idempotency_key":"","on_behalf_of":"","deadline_micros":"0"}`},
		"query parameters":                     {"GET", "/api/books/b_1?items=a&items=b&text=hi", "", 200, `"text":"b_1/hi/v1","items":["a","b"]`},
		"an id with an escaped slash":          {"GET", "/api/books/a%2Fb", "", 200, `"text":"a/b//v1"`},
		"an id with an escaped percent sign":   {"GET", "/api/books/a%252Fb", "", 200, `"text":"a%2Fb//v1"`},
		"an id with a letter escaped in vain":  {"GET", "/api/books/%61", "", 200, `"text":"a//v1"`},
		"a body":                               {"POST", "/api/books", `{"what":"x","items":["é\u0001"]}`, 200, `"items":["é\u0001"]`},
		"an empty body is the empty message":   {"POST", "/api/books", "", 200, `"text":"//v1"`},
		"a body of white space":                {"POST", "/api/books", " \n", 200, `"text":"//v1"`},
		"a body where the rule has none":       {"DELETE", "/api/books/b_1", `garbage`, 200, `"text":"b_1//v1"`},
		"a path of another shape":              {"GET", "/api/nothing/at/all", "", 404, `"code":"route_not_found"`},
		"a trailing slash is not an empty id":  {"GET", "/api/books/", "", 404, `"code":"route_not_found"`},
		"an empty segment":                     {"GET", "/api//books", "", 404, `"code":"route_not_found"`},
		"a method that the path does not know": {"PATCH", "/api/books/b_1", "", 405, `"code":"method_not_allowed"`},
		"a form is taken as JSON, not as one":  {"POST", "/api/books", "what=x", 400, `"code":"malformed_json"`},
	} {
		for _, route := range []string{"", "/api/books/{what}", "/api/books/{what}"} { // found by rest, learnt, known
			t.Run(name+" "+route, func(t *testing.T) {
				call := &rest.Call{RequestID: "req_1"}
				if c.status == 200 && c.method != "POST" {
					call.Route = route
				}
				w := l.askAs(call, c.method, c.target, c.body, "Content-Type", "application/x-www-form-urlencoded")
				if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
					t.Errorf("%d %s\nwant %d …%s…", w.Code, w.Body, c.status, c.want)
				}
				if !json.Valid(w.Body.Bytes()) {
					t.Errorf("not JSON: %s", w.Body)
				}
			})
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	l := open(t, rest.Options{BodyMax: 100})
	for name, c := range map[string]struct{ target, body, field, code string }{
		"an unknown field":               {"", `{"what":"x","author":{"name":"A"}}`, "author", "unknown_field"},
		"a wrong type":                   {"", `{"what":7}`, "what", "wrong_value"},
		"a wrong type within a list":     {"", "{\n \"text\": \"ü\",\n \"items\": [\"a\", \"b\", 3]}", "items[2]", "wrong_value"},
		"an object for a list":           {"", `{"items":{}}`, "items", ""},
		"the same field twice":           {"", `{"text":"a","text":"b"}`, "text", "duplicate_field"},
		"JSON that breaks off":           {"", `{"text":"a`, "", "malformed_json"},
		"no JSON":                        {"", `hello`, "", "malformed_json"},
		"two messages":                   {"", `{} {}`, "", "malformed_json"},
		"a text with U+0000 in it":       {"", `{"items":["a","b\u0000"]}`, "items[1]", "wrong_value"},
		"a parameter with U+0000 in it":  {"/x?text=a%00", "", "text", "wrong_value"},
		"a parameter that is no UTF-8":   {"/x?text=%ff", "", "text", "wrong_value"},
		"a list for a message":           {"", `[]`, "", "malformed_json"},
		"a string that is no UTF-8":      {"", "{\"text\":\"\xff\"}", "text", ""},
		"a single value twice in query":  {"/x?text=a&text=b", "", "text", "wrong_value"},
		"a field by both its names":      {"/x?text=a&items=1&items[]=2", "", "items", "wrong_value"},
		"a body over the bound":          {"", `{"text":"` + strings.Repeat("a", 200) + `"}`, "", "body_too_large"},
		"objects nested without end":     {"", strings.Repeat(`{"a":`, 15), "a", "unknown_field"},
		"a list nested where none may":   {"", `{"items":[["a"]]}`, "items[0]", ""},
		"null for a repeated field's el": {"", `{"items":[null]}`, "items[0]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			method, target := "POST", "/api/books"
			if c.target != "" {
				method, target = "GET", target+c.target
			}
			w := l.ask(method, target, c.body)
			var got struct {
				Type, Code, Detail, Instance string
				Status                       int
				Violations                   []struct{ Field, Code, Message string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if c.code == "body_too_large" {
				if w.Code != 413 || got.Code != c.code {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				return
			}
			if w.Code != 400 || got.Status != 400 || got.Code != "invalid_request" || got.Instance != "req_1" || len(got.Violations) != 1 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if v := got.Violations[0]; v.Field != c.field || c.code != "" && v.Code != c.code {
				t.Errorf("violation %+v, want %s at %s", v, c.code, c.field)
			}
			if strings.Contains(w.Body.String(), "proto:") || strings.Contains(w.Body.String(), "(line") {
				t.Errorf("the library's own words: %s", w.Body)
			}
			if l.asked.Load() != 0 {
				t.Error("the room was asked")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	l := open(t, rest.Options{})
	t.Run("a problem goes out whole", func(t *testing.T) {
		w := l.ask("GET", "/api/books/sold", "")
		const want = `{"type":"urn:souk:problem:sold_out","title":"Conflict","status":409,"code":"sold_out","detail":"Only 2 are left.","instance":"req_1",` +
			`"violations":[{"field":"lines[0]","code":"sold_out","message":"2 left of \"x\""}],"book":"b_1"}` + "\n"
		if w.Code != 409 || w.Body.String() != want {
			t.Errorf("%d %s\nwant %s", w.Code, w.Body, want)
		}
		h := w.Header()
		if h.Get("Content-Type") != rest.ContentProblem || h.Get("Retry-After") != "2" || h.Get("X-Hint") != "come back" {
			t.Errorf("header %v", h)
		}
		p, err := rest.ReadProblem(w.Body.Bytes())
		if err != nil || p.Code != "sold_out" || p.Kind.HTTP() != 409 || p.Meta["book"] != "b_1" || len(p.Meta) != 1 || p.Violations[0].Field != "lines[0]" {
			t.Errorf("read back: %+v, %v", p, err)
		}
	})
	for _, what := range []string{"broken", "cause", "panic"} {
		t.Run("our own fault tells nothing: "+what, func(t *testing.T) {
			w := l.ask("GET", "/api/books/"+what, "")
			if w.Code != 500 || !strings.Contains(w.Body.String(), `"code":"internal"`) || !strings.Contains(w.Body.String(), "req_1") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			for _, secret := range []string{"disk", "ENOSPC", "secret", "pq:", "disco"} {
				if strings.Contains(w.Body.String(), secret) {
					t.Errorf("%q got out: %s", secret, w.Body)
				}
			}
		})
	}
	t.Run("405 says what is allowed and calls nobody", func(t *testing.T) {
		before := l.asked.Load()
		w := l.ask("PATCH", "/api/books/b_1", "")
		if got := w.Header().Get("Allow"); got != "DELETE, GET, HEAD, PUT" {
			t.Errorf("Allow: %q", got)
		}
		if l.asked.Load() != before {
			t.Error("the probe reached the room")
		}
	})
	t.Run("a status and a header of the room's own", func(t *testing.T) {
		w := l.ask("GET", "/api/books/later", "")
		if w.Code != 202 || w.Header().Get("Location") != "/api/books/b_1" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	})
}

func TestClientsCannotWriteMetadata(t *testing.T) {
	l := open(t, rest.Options{})
	w := l.ask("GET", "/api/books/b_1", "",
		"Souk-Principal", "staff;x;s;", "Grpc-Metadata-Souk-Principal", "staff;x;s;", "Grpc-Timeout", "nonsense", "Souk-Request-Id", "spoofed",
		"X-Http-Method-Override", "DELETE", "Idempotency-Key", "k", "Te", "trailers", "Authorization", "Bearer x", "Grpc-Metadata-X-Bin", "!!!", "X-Forwarded-For", "1.2.3.4")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"principal":"anonymous","request_id":"req_1","idempotency_key":""`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if md := *l.carried.Load(); len(md) != 1 {
		t.Errorf("metadata %v", md)
	}
}

func TestCallReachesTheRoom(t *testing.T) {
	l := open(t, rest.Options{})
	c := &rest.Call{Principal: auth.Principal{Kind: auth.Staff, ID: "key", Shop: "s"}, RequestID: "req_9", IdempotencyKey: "k-1"}
	w := l.askAs(c, "POST", "/api/books", `{}`)
	if !strings.Contains(w.Body.String(), `"principal":"staff:key","request_id":"req_9","idempotency_key":"k-1"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRawHandlers(t *testing.T) {
	l := open(t, rest.Options{BodyMax: 10})
	l.mux.Handle("POST /api/hooks/{who}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hook of ", r.PathValue("who"), " for ", rest.CallFrom(r.Context()).RequestID)
	}))
	if w := l.ask("POST", "/api/hooks/a%2Fb", ""); w.Body.String() != "hook of a/b for req_1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := l.ask("POST", "/api/hooks/a%252Fb", ""); w.Body.String() != "hook of a%2Fb for req_1" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := l.ask("GET", "/api/books/b_1", ""); w.Code != 200 {
		t.Errorf("others: %d %s", w.Code, w.Body)
	}
	if raw := l.mux.Raw(); len(raw) != 1 || raw[0] != "POST /api/hooks/{who}" {
		t.Errorf("raw %v", raw)
	}
}

func TestHead(t *testing.T) {
	l := open(t, rest.Options{})
	w := l.ask("HEAD", "/api/books/b_1", "")
	if w.Code != 200 || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := l.ask("HEAD", "/api/books/sold", ""); w.Code != 409 || w.Body.Len() > 0 {
		t.Errorf("refused: %d %s", w.Code, w.Body)
	}
}

func FuzzReadProblem(f *testing.F) {
	f.Add([]byte(`{"type":"urn:x","title":"t","status":409,"code":"sold_out","violations":[{"field":"a","code":"b","message":"c"}],"order":"o"}`))
	f.Add([]byte(`{"status":400,"code":"x","violations":null,"n":1}`))
	f.Add([]byte(`{"status":1e3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := rest.ReadProblem(body)
		if (p == nil) == (err == nil) || p != nil && (p.Code == "" || p.Kind.HTTP() < 400) {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// BenchmarkAnswers measures rest with a whole call of rpc beneath it.
func BenchmarkAnswers(b *testing.B) {
	for name, c := range map[string]struct {
		what  string
		young time.Duration
	}{"encoded": {"b_1", 0}, "kept": {"shelf", 0}, "young": {"shelf", rest.YoungMax}} {
		b.Run(name, func(b *testing.B) {
			l := open(b, rest.Options{})
			l.young = c.young
			r := httptest.NewRequest("GET", "/api/books/"+c.what, nil)
			r = r.WithContext(rest.WithCall(r.Context(), &rest.Call{RequestID: "req_1", Route: "/api/books/{what}"}))
			b.ReportAllocs()
			for b.Loop() {
				l.mux.ServeHTTP(quiet{}, r)
			}
		})
	}
}

// quiet is an http.ResponseWriter that costs nothing.
type quiet struct{}

var noted = http.Header{}

func (quiet) Header() http.Header         { return noted }
func (quiet) Write(b []byte) (int, error) { return len(b), nil }
func (quiet) WriteHeader(int)             {}

func TestABodyMayNotNameAnotherThingThanThePath(t *testing.T) {
	l := open(t, rest.Options{})
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"it names none":             {`{"text":"x"}`, 200},
		"it names the same":         {`{"what":"a/b","text":"x"}`, 200},
		"it names another":          {`{"what":"b_2","text":"x"}`, 400},
		"it names an empty one":     {`{"what":"","text":"x"}`, 200},
		"it names the same escaped": {`{"what":"a%2Fb","text":"x"}`, 400},
		"there is none":             {``, 200},
	} {
		for _, route := range []string{"", "/api/books/{what}", "/api/books/{what}"} { // found by rest, learnt, known
			t.Run(name+" "+route, func(t *testing.T) {
				w := l.askAs(&rest.Call{RequestID: "req_1", Route: route}, "PUT", "/api/books/a%2Fb", c.body)
				refused := strings.Contains(w.Body.String(), `"field":"what"`) && strings.Contains(w.Body.String(), `"differs_from_path"`)
				if w.Code != c.status || refused != (c.status == 400) {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			})
		}
	}
}
