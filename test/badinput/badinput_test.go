// Package badinput sends the shop what nobody should: from one good request of every route it makes malformed, oversized,
// out-of-range and unauthorized ones. Each must be refused with a problem document that names the field, and change nothing.
package badinput

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// inner are words of the machinery, which no client should read.
var inner = regexp.MustCompile(`\.go\b|goroutine|(?i:sqlite)|SELECT |INSERT |UNIQUE|constraint|proto:|protobuf|runtime error|panic|/tmp/|/work/|github\.com|` +
	`strconv|unmarshal|invalid character|\*[a-z]+\.[A-Z]|google\.|rpc error|context deadline|EOF|nil pointer`)

// document is a problem document, or the results of a batch.
type document struct {
	Code, Detail, Type, Title string
	Status                    int
	Violations                []struct{ Field, Code, Message string }
	Results                   []struct{ Outcome, Code, Message string }
}

// refusal says what is wrong with the answer to a bad request; "" when it is a refusal as it should be.
func refusal(a shop.Answer, field string, alone bool) string {
	var d document
	if err := json.Unmarshal(a.Body, &d); err != nil {
		return "no document"
	}
	if said := inner.Find(a.Body); said != nil {
		return fmt.Sprintf("it tells of %q", said)
	}
	if a.Status == 200 && alone {
		for _, r := range d.Results {
			if r.Outcome != "refused" || r.Code == "" || r.Message == "" {
				return "a row is " + r.Outcome
			}
		}
		if len(d.Results) > 0 {
			return ""
		}
	}
	switch {
	case a.Status < 400 || a.Status > 499:
		return "no refusal"
	case a.Header.Get("Content-Type") != "application/problem+json" || d.Code == "" || d.Detail == "" || d.Status != a.Status || d.Type == "":
		return "no problem document"
	case field != "" && a.Status == 400 && !d.names(field):
		return "it does not name the field " + field
	}
	return ""
}

// names says that a violation is of the field, of what contains it or of what it contains.
func (d document) names(field string) bool {
	last := regexp.MustCompile(`[^.\[]+(\[\d+\])?$`).FindString(field)
	for _, v := range d.Violations {
		if strings.HasSuffix(v.Field, last) || strings.HasPrefix(field, v.Field) && v.Field != "" || strings.HasPrefix(v.Field, field) {
			return true
		}
	}
	return false
}

func TestBadRequestsOfEveryRoute(t *testing.T) {
	s := set(t)
	calls := s.all(t)
	before, sent := s.digest(t), 0
	for _, c := range calls {
		t.Run(c.route, func(t *testing.T) {
			for _, b := range mutations(c) {
				s.refused(t, c, b.what, b.field, func(r *shop.Request) { r.Body = b.body })
				sent++
			}
			sent += s.badQueries(t, c) + s.badPaths(t, c) + s.badHeaders(t, c)
			if after := s.digest(t); after != before {
				t.Errorf("something was changed:\n%s", difference(before, after))
				before = after
			}
		})
	}
	t.Logf("%d bad requests of %d routes", sent, len(calls))
	s.goodOnes(t, calls)
	s.Verify(t)
}

// refused sends a good request with one thing changed and wants it refused.
func (s *stage) refused(t *testing.T, c call, what, field string, change func(*shop.Request)) {
	t.Helper()
	r := s.request(c)
	change(&r)
	a, err := s.Try(r)
	if err != nil {
		t.Errorf("%s: %s: %v", c.route, what, err)
		return
	}
	if wrong := refusal(a, field, c.alone); wrong != "" {
		t.Errorf("%s: %s: %s: %.600s", c.route, what, wrong, a)
	}
}

// goodOnes proves that the good requests are good: else the bad ones would be refused for another reason.
func (s *stage) goodOnes(t *testing.T, calls []call) {
	for _, last := range []bool{false, true} {
		for _, c := range calls {
			if c.last != last || c.route == "POST /api/runs/{run_id}" { // only a parked run can be resolved
				continue
			}
			a, err := s.Try(s.request(c))
			if err != nil || a.Status > 299 || strings.Contains(string(a.Body), `"refused"`) {
				t.Errorf("the good request of %s is answered %.600s, %v", c.route, a, err)
			}
		}
	}
}

// difference is the first line that differs.
func difference(before, after string) string {
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range was {
		if was[i] != is[i] {
			return "was " + was[i] + "\nis  " + is[i]
		}
	}
	return "more lines"
}

// badQueries are parameters that are out of range, twice or no text. Unknown ones are left alone, as links gather them.
func (s *stage) badQueries(t *testing.T, c call) (sent int) {
	for _, pair := range strings.Split(c.query, "&") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		for _, wrong := range wrongParameters(c.route, name) {
			s.refused(t, c, name+"="+wrong, name, func(r *shop.Request) { r.Path = strings.Replace(r.Path, pair, name+"="+wrong, 1) })
			sent++
		}
		if name != "skus" && c.route != raw {
			s.refused(t, c, name+" twice", name, func(r *shop.Request) { r.Path += "&" + name + "=" + value })
			sent++
		}
	}
	return sent
}

// byID are lists whose cursor is the id of a row: any id is one.
var byID = []string{"GET /api/users", "GET /api/shipments"}

func wrongParameters(route, name string) []string {
	long := strings.Repeat("x", 5000)
	switch name {
	case "page_size", "limit", "weight_grams", "after":
		wrong := []string{"-1", "many", "1.5", "99999999999999999999"}
		if name == "page_size" {
			wrong = append(wrong, "100000", "2147483647")
		}
		return wrong
	case "page_token":
		wrong := []string{long, "%00", "%ff%fe", "..%2F..", "%27%20OR%201%3D1"}
		if !slices.Contains(byID, route) {
			wrong = append(wrong, "bm90IGEgY3Vyc29y")
		}
		return wrong
	case "state", "currency", "payment_state", "fulfilment_state":
		return []string{long, "nonsense", "%00", "%ff"}
	case "country":
		return []string{long, "nonsense", "gb", "%00", "%ff"}
	case "kind":
		return []string{long, "nonsense", "%00"}
	case "since", "until":
		return []string{long, "yesterday", "2026-02-30", "2026-1-1", "2026-01-01T00:00:00Z", "%00"}
	case "format":
		return []string{"xml", "CSV", ""}
	}
	return []string{"%00", "%ff"} // anything else may be a filter that nothing passes
}

// oddIDs are ids that no room gives out, as they are written in a path.
var oddIDs = []string{"a%2Fb", "..%2F..%2Fetc", "a%00b", "%ff%fe", "%F0%9F%9B%92", "a%20b", "%27%20OR%201=1%20--", "%25", "%0d%0aX-Evil:%201", strings.Repeat("x", 300)}

func (s *stage) badPaths(t *testing.T, c call) (sent int) {
	route := strings.Split(strings.SplitN(c.route, " ", 2)[1], "/")
	path := strings.Split(c.path, "/")
	for i, part := range route {
		if !strings.HasPrefix(part, "{") {
			continue
		}
		for _, odd := range oddIDs {
			changed := append(append(append([]string{}, path[:i]...), odd), path[i+1:]...)
			s.refused(t, c, "the path "+strings.Join(changed, "/")[:min(60, len(strings.Join(changed, "/")))], "", func(r *shop.Request) {
				r.Path = strings.Replace(r.Path, c.path, strings.Join(changed, "/"), 1)
			})
			sent++
		}
	}
	return sent
}

// badHeaders are credentials, keys and conditions that are wrong, and bodies that are too big.
func (s *stage) badHeaders(t *testing.T, c call) (sent int) {
	refused := func(what, field string, change func(*shop.Request)) {
		s.refused(t, c, what, field, change)
		sent++
	}
	header := func(name, value string) func(*shop.Request) {
		return func(r *shop.Request) { r.Header = map[string]string{name: value} }
	}
	for _, token := range []string{"nonsense", "crt_1.AAAA", strings.Repeat("x", 4000), "\xff\xfe", "soukstaff_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		refused("a token that nobody holds", "", func(r *shop.Request) { r.Token = token })
	}
	refused("another scheme", "", func(r *shop.Request) {
		r.Token, r.Header = "", map[string]string{"Authorization": "Basic am9objpqb2hu"}
	})
	if c.as != "" {
		refused("no token", "", func(r *shop.Request) { r.Token = "" })
	}
	if c.as == "staff" {
		refused("the token of a guest", "", func(r *shop.Request) { r.Token = s.cart.Token })
	}
	if s.keys[c.route] {
		for _, key := range []string{"", "a b", strings.Repeat("k", 256), "k\xff", "schlüssel"} {
			refused(fmt.Sprintf("the key %.20q", key), "Idempotency-Key", func(r *shop.Request) { r.Key, r.Header = "", map[string]string{"Idempotency-Key": key} })
		}
	}
	if c.route == "PUT /api/products/{product.id}" {
		for _, tag := range []string{`"999"`, `W/"999"`, `not quoted`, `"999", "1000"`} {
			refused("If-Match "+tag, "If-Match", header("If-Match", tag))
		}
	}
	if c.body != "" {
		limit := bodyLimit
		if strings.HasSuffix(c.path, ":batch") || strings.HasSuffix(c.path, ":count") {
			limit = batchMax
		}
		refused("a body over its bound", "", func(r *shop.Request) { r.Body = strings.Repeat(" ", limit) + c.body })
		refused("a body of another type", "", func(r *shop.Request) {
			r.Body, r.Header = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--", map[string]string{"Content-Type": "multipart/form-data; boundary=x"}
		})
		refused("a body that claims to be compressed", "", func(r *shop.Request) {
			r.Body, r.Header = "\x1f\x8b\x08\x00nonsense", map[string]string{"Content-Encoding": "gzip"}
		})
	}
	return sent
}
