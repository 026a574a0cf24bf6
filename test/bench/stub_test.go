package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is as much of a shop as a shopper sees, and remembers what it was told.
type stub struct {
	mu    sync.Mutex
	lines map[string]string // path → body of the lines put
	keys  map[string]bool   // idempotency keys
	wrong []string
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	expect := func(ok bool) {
		if !ok {
			s.wrong = append(s.wrong, fmt.Sprintf("%s %s %v %s", r.Method, r.URL, r.Header, body))
		}
	}
	expect(r.URL.Path == "/api/carts" || r.Header.Get("Authorization") == "Bearer crt_1.mac")
	expect(r.Method == http.MethodGet || r.Header.Get("Content-Type") == "application/json")
	switch path := strings.TrimPrefix(r.URL.Path, "/api/carts/crt_1"); {
	case r.URL.Path == "/api/carts":
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":"crt_1","token":"crt_1.mac","version":1}`)
	case strings.HasPrefix(path, "/lines/"):
		s.lines[path] = string(body)
		fmt.Fprintf(w, `{"id":"crt_1","notes":%q}`, strings.Repeat("long ", 2000)) // long enough to come in chunks
	case path == "/shipping-options":
		fmt.Fprint(w, `{"options":[{"option_id":"standard","name":"Standard"},{"option_id":"express"}]}`)
	case path == "/shipping":
		expect(string(body) == `{"option_id":"standard"}`)
		fmt.Fprint(w, `{"id":"crt_1"}`)
	case path == "/address":
		expect(string(body) == address)
		fmt.Fprint(w, `{"id":"crt_1"}`)
	default:
		s.checkout(w, r, string(body))
	}
}

func (s *stub) checkout(w http.ResponseWriter, r *http.Request, body string) {
	key := r.Header.Get("Idempotency-Key")
	if r.URL.Path != "/api/checkout" || body != `{"cart_id":"crt_1","payment":{"token":"tok_ok"}}` || key == "" {
		s.wrong = append(s.wrong, r.URL.Path+" "+body)
	}
	if s.keys[key] {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"status":409,"code":"cart_already_ordered"}`)
		return
	}
	s.keys[key] = true
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, `{"id":"ord_1","token":"t","state":"confirmed","payment_state":"authorized"}`)
}

func TestShopperBuysOverOneConnection(t *testing.T) {
	shop := &stub{lines: map[string]string{}, keys: map[string]bool{}}
	web := httptest.NewServer(shop)
	defer web.Close()
	g := &goods{skus: []string{"A", "B", "C"}, ids: []string{"a", "b", "c"}}
	tally := newTally(time.Now(), time.Minute)
	s := newShopper(&server{addr: strings.TrimPrefix(web.URL, "http://")}, g, 1, tally.to)
	defer s.close()

	if err := s.Do(tally); err != nil {
		t.Fatal(err)
	}
	if len(shop.lines) != 2 || g.sold.Load() != 1 || len(shop.wrong) > 0 {
		t.Errorf("lines %v, sold %d, wrong %v", shop.lines, g.sold.Load(), shop.wrong)
	}
	for kind, want := range map[call]int64{callCart: 1, callLine: 2, callAddress: 1, callOptions: 1, callShipping: 1, callCheckout: 1} {
		if got := tally.calls[kind].count(); got != want {
			t.Errorf("%s was measured %d times, want %d", callNames[kind], got, want)
		}
	}
	err := s.Do(tally)
	if err == nil || err.Error() != "POST checkout: 409 cart_already_ordered" {
		t.Errorf("a second order of the cart: %v", err)
	}
}

func TestShopperComesBackAfterALostConnection(t *testing.T) {
	shop := &stub{lines: map[string]string{}, keys: map[string]bool{}}
	web := httptest.NewServer(shop)
	defer web.Close()
	g := &goods{skus: []string{"A", "B"}, ids: []string{"a", "b"}}
	tally := newTally(time.Now(), time.Minute)
	s := newShopper(&server{addr: strings.TrimPrefix(web.URL, "http://")}, g, 1, tally.to)
	defer s.close()
	if _, err := s.call([]byte("GET /api/carts HTTP/1.1\r\nHost: souk\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	web.CloseClientConnections()
	if err := s.Do(tally); err == nil || !strings.Contains(err.Error(), "POST cart: no answer") {
		t.Errorf("over a lost connection: %v", err)
	}
	if err := s.Do(tally); err != nil {
		t.Errorf("over a new one: %v", err)
	}
}

func TestStockIsMadeThroughTheAPI(t *testing.T) {
	var asked []string
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
	}))
	defer web.Close()
	defer http.DefaultClient.CloseIdleConnections()
	g, err := stock(&server{url: web.URL, key: "k"}, 300)
	if err != nil || len(g.skus) != 300 || len(g.ids) != 300 {
		t.Fatalf("%d SKUs: %v", len(g.skus), err)
	}
	if got := strings.Join(asked, ", "); got != "/api/products:batch Bearer k, /api/prices:batch Bearer k, /api/stock:count Bearer k" {
		t.Errorf("asked %s", got)
	}
}

func TestPickerHasFavouritesAndDrawsTwoDifferent(t *testing.T) {
	p, drawn := newPicker(300, 7), map[int]int{}
	for range 5000 {
		a, b := p.two()
		if a == b {
			t.Fatal("two lines of one product")
		}
		drawn[a]++
	}
	most := 0
	for _, n := range drawn {
		most = max(most, n)
	}
	if len(drawn) < 150 || most < 500 {
		t.Errorf("%d products drawn, the favourite %d times of 5000", len(drawn), most)
	}
}
