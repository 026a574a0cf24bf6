package importer

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// stub answers as a shop's API does, from memory.
type stub struct {
	mu         sync.Mutex
	products   map[string]string // id to document
	owners     map[string]string // SKU to id
	prices     map[string]string
	stock      map[string]int32
	categories map[string]string // id to title
	calls      map[string]int
	before     func(path string) (status int, header string) // refuses a call before it is served; nil: never
	bodyMax    int
}

func newStub() *stub {
	return &stub{
		products: map[string]string{}, owners: map[string]string{}, prices: map[string]string{}, stock: map[string]int32{},
		categories: map[string]string{}, calls: map[string]int{}, bodyMax: 1 << 20,
	}
}

// RoundTrip makes the stub a transport, as a shop in this process is one.
func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	answer := w.Result()
	answer.Request = r
	return answer, nil
}

func (s *stub) shop() *Shop {
	return &Shop{Client: &http.Client{Transport: s}, URL: "http://shop.example/", Key: "key"}
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.calls[r.URL.Path]++
	if s.before != nil {
		if status, header := s.before(r.URL.Path); status != 0 {
			w.Header().Set("Retry-After", header)
			refuse(w, status, "not_now", "not now")
			return
		}
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer key":
		refuse(w, 401, "credentials_invalid", "no such key")
	case len(body) > s.bodyMax:
		refuse(w, 413, "body_too_large", "the body is too large")
	case r.URL.Path == "/api/channels":
		answer(w, map[string]any{"channels": []any{map[string]any{"id": "web", "currency": "GBP"}}})
	case r.URL.Path == "/api/products:batch":
		s.putProducts(w, body)
	case r.URL.Path == "/api/prices:batch":
		s.setPrices(w, body)
	case r.URL.Path == "/api/stock:count":
		s.countStock(w, body)
	case r.URL.Path == "/api/categories":
		s.listCategories(w)
	case strings.HasPrefix(r.URL.Path, "/api/categories/") && r.Method == "PUT":
		s.putCategory(w, strings.TrimPrefix(r.URL.Path, "/api/categories/"), body)
	default:
		refuse(w, 404, "route_not_found", r.URL.Path)
	}
}

func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.WriteHeader(status)
	answer(w, map[string]any{"code": code, "detail": detail})
}

func answer(w io.Writer, what any) { _ = json.NewEncoder(w).Encode(what) }

func (s *stub) putProducts(w http.ResponseWriter, body []byte) {
	var sent struct{ Products []json.RawMessage }
	if err := json.Unmarshal(body, &sent); err != nil || len(sent.Products) > 500 {
		refuse(w, 400, "malformed_json", fmt.Sprint(err))
		return
	}
	out := results{}
	for _, text := range sent.Products {
		out.Results = append(out.Results, s.putProduct(text))
	}
	answer(w, out)
}

func (s *stub) putProduct(text []byte) result {
	var p document
	if err := json.Unmarshal(text, &p); err != nil {
		return result{"refused", "invalid_request", err.Error()}
	}
	for i, v := range p.Variants {
		if v.SKU == "REFUSED" {
			return result{"refused", "invalid_request", fmt.Sprintf("variants[%d].sku: a SKU is letters and digits", i)}
		}
		if owner := s.owners[v.SKU]; owner != "" && owner != p.ID {
			return result{"refused", "sku_taken", fmt.Sprintf("variants[%d].sku: it belongs to %s", i, owner)}
		}
		s.owners[v.SKU] = p.ID
	}
	before, found := s.products[p.ID]
	s.products[p.ID] = string(text)
	switch {
	case !found:
		return result{Outcome: created}
	case before != string(text):
		return result{Outcome: updated}
	}
	return result{Outcome: unchanged}
}

func (s *stub) setPrices(w http.ResponseWriter, body []byte) {
	var sent struct {
		Prices []struct {
			SKU   string
			Price struct{ Currency, Amount string }
		}
	}
	_ = json.Unmarshal(body, &sent)
	out := results{}
	for _, p := range sent.Prices {
		before, found := s.prices[p.SKU]
		now := p.Price.Amount + " " + p.Price.Currency
		switch {
		case p.Price.Currency != "GBP":
			out.Results = append(out.Results, result{"refused", "currency_mismatch", "the channel sells in GBP"})
			continue
		case !found:
			out.Results = append(out.Results, result{Outcome: created})
		case before == now:
			out.Results = append(out.Results, result{Outcome: unchanged})
		default:
			out.Results = append(out.Results, result{Outcome: updated})
		}
		s.prices[p.SKU] = now
	}
	answer(w, out)
}

func (s *stub) countStock(w http.ResponseWriter, body []byte) {
	var sent struct {
		Counts []struct {
			SKU    string
			OnHand int32 `json:"on_hand"`
		}
	}
	_ = json.Unmarshal(body, &sent)
	adjusted, same := 0, 0
	for _, c := range sent.Counts {
		if c.SKU == "UNCOUNTABLE" {
			refuse(w, 400, "invalid_request", "counts: cannot be counted")
			return
		}
		if _, found := s.stock[c.SKU]; found {
			same++
			continue
		}
		s.stock[c.SKU] = c.OnHand
		adjusted++
	}
	answer(w, map[string]int{"adjusted": adjusted, "unchanged": same})
}

func (s *stub) listCategories(w http.ResponseWriter) {
	var list []any
	for id := range s.categories {
		list = append(list, map[string]string{"id": id})
	}
	answer(w, map[string]any{"categories": list, "next_page_token": ""})
}

func (s *stub) putCategory(w http.ResponseWriter, id string, body []byte) {
	var k struct {
		ParentID string `json:"parent_id"`
		Title    map[string]string
	}
	_ = json.Unmarshal(body, &k)
	if _, found := s.categories[k.ParentID]; k.ParentID != "" && !found {
		refuse(w, 400, "unknown_category", "no parent")
		return
	}
	s.categories[id] = k.Title["en"]
	answer(w, map[string]string{"id": id})
}

// imported runs an import of a text and gives the quarantine's lines.
func imported(t *testing.T, s *stub, name, text string) (Summary, []Rejected) {
	t.Helper()
	var kept strings.Builder
	summary, err := Import(t.Context(), Source{Name: name, Reader: strings.NewReader(text), Size: int64(len(text))}, s.shop(), Options{Quarantine: &kept})
	if err != nil {
		t.Fatal(err)
	}
	bad := rejected(t, kept.String())
	slices.SortStableFunc(bad, func(a, b Rejected) int { return a.Line - b.Line }) // batches end in any order
	return summary, bad
}

func rejected(t *testing.T, lines string) (found []Rejected) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var r Rejected
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		found = append(found, r)
	}
	return found
}
