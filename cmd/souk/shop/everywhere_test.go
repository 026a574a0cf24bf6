package shop

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// says answers with this, whatever it is asked, and notes what that was.
func says(status int, body string, heard *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*heard = append(*heard, r.Method+" "+r.URL.String())
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

func TestLettersOfAllProcessesAreOneList(t *testing.T) {
	const shared = `{"id":"carts.orders:2","consumer":"carts.orders","position":2}`
	var heard []string
	rooms := map[string]http.Handler{
		"carts":     says(200, `{"letters":[`+shared+`]}`, &heard),
		"inventory": says(200, `{"letters":[{"id":"inventory.orders:9","consumer":"inventory.orders","position":9},`+shared+`]}`, &heard),
		"users":     says(200, `{"letters":[{"id":"carts.orders:10","consumer":"carts.orders","position":10}]}`, &heard),
	}
	ask := func(method, path string) *httptest.ResponseRecorder {
		heard = nil
		w := httptest.NewRecorder()
		letters(rooms).ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	var order []int
	body := ask("GET", "/api/letters/?limit=5").Body.String()
	for _, id := range []string{`"carts.orders:2"`, `"carts.orders:10"`, `"inventory.orders:9"`} {
		if strings.Count(body, id) != 1 {
			t.Errorf("%s is not told once: %s", id, body)
		}
		order = append(order, strings.Index(body, id))
	}
	if !(order[0] < order[1] && order[1] < order[2]) {
		t.Errorf("they are not in order: %s", body)
	}
	if len(heard) != 3 || !strings.HasSuffix(heard[0], "?limit=5") {
		t.Errorf("the rooms were asked %v", heard)
	}
	for _, c := range [][2]string{{"GET", "/api/letters/?consumer=inventory.orders"}, {"POST", "/api/letters/inventory.orders:9/redrive?reason=mended"}} {
		if ask(c[0], c[1]); len(heard) != 1 || heard[0] != c[0]+" "+c[1] {
			t.Errorf("%s was heard as %v", c[1], heard)
		}
	}
	if w := ask("POST", "/api/letters/nobody.orders:9/skip"); w.Code != http.StatusNotFound || len(heard) > 0 {
		t.Errorf("a room that there is not: %d, heard %v", w.Code, heard)
	}
}

func TestAListWithAHoleIsNoList(t *testing.T) {
	for name, absent := range map[string]http.Handler{
		"a room is away":         says(503, `{"code":"not_ready"}`, new([]string)),
		"a room answers wrongly": says(200, `{"moves":`, new([]string)),
	} {
		w := httptest.NewRecorder()
		moves(map[string]http.Handler{"users": says(200, `{"moves":[]}`, new([]string)), "orders": absent}).
			ServeHTTP(w, httptest.NewRequest("GET", "/api/moves/", nil))
		if w.Code < 500 {
			t.Errorf("%s: it answered %d %s", name, w.Code, w.Body)
		}
	}
}
