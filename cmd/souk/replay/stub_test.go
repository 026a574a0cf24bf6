package replay

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// stub is a shop in memory, as far as a replay asks one: its answers are bound to keys,
// its shipments open late, and it can lose answers.
type stub struct {
	mu      sync.Mutex
	dice    *rand.Rand
	lossy   float64 // of calls that are answered with 503 before, or lost after their effect
	answers map[string]stored
	users   map[string]string // id to country
	stock   map[string]int
	orders  []*stubOrder
	opening map[string]int // calls until the shipment of an order opens
	calls   map[string]int
	after   func(path string) // called with each effect; nil: nothing
	never   string            // the cancellation whose returns are refused
	lacks   []string          // products that it does not have
	free    []string          // products without a price
	unpaid  string            // the reference of an order whose money is still to be taken; "": none
}

type stored struct {
	body   string
	status int
	text   []byte
}

type stubOrder struct {
	id, reference, subject, state, rejection string
	soldAt                                   string
	lines                                    []stubLine
	total, captured, refunded                retail.Amount
	returns                                  int
	dispatched                               bool
}

type stubLine struct {
	sku                string
	quantity, returned int
	price              retail.Amount
}

func newStub(seed uint64) *stub {
	return &stub{
		dice: rand.New(rand.NewPCG(seed, 1)), answers: map[string]stored{}, users: map[string]string{}, stock: map[string]int{},
		opening: map[string]int{}, calls: map[string]int{},
	}
}

func (s *stub) shop() Shop {
	return Shop{Client: &http.Client{Transport: s}, URL: "http://shop.example/", Key: "key"}
}

// RoundTrip makes the stub a transport.
func (s *stub) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dice.Float64() < s.lossy {
		return answered(r, 503, []byte(`{"code":"unavailable","detail":"not now"}`)), nil
	}
	kind := r.Method + " " + strings.Join(strings.Split(r.URL.Path, "/")[:3], "/")
	s.calls[kind]++
	status, text := s.once(r, string(body))
	if s.after != nil {
		s.after(r.URL.Path)
	}
	if s.dice.Float64() < s.lossy {
		return nil, fmt.Errorf("the answer was lost")
	}
	return answered(r, status, text), nil
}

func answered(r *http.Request, status int, text []byte) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	_, _ = w.Write(text) // a recorder takes everything
	answer := w.Result()
	answer.Request = r
	return answer
}

// once answers a key that was heard before as the first time.
func (s *stub) once(r *http.Request, body string) (int, []byte) {
	if r.Header.Get("Authorization") != "Bearer key" {
		return refused(401, "credentials_invalid")
	}
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return s.serve(r, body)
	}
	if before, heard := s.answers[key]; heard {
		if before.body != body {
			return refused(422, "idempotency_key_reused")
		}
		return before.status, before.text
	}
	status, text := s.serve(r, body)
	if status < 300 || status == 409 && strings.Contains(string(text), "sold_out") {
		s.answers[key] = stored{body, status, text}
	}
	return status, text
}

func refused(status int, code string) (int, []byte) {
	return status, fmt.Appendf(nil, `{"code":%q,"detail":"because"}`, code)
}

func (s *stub) serve(r *http.Request, body string) (int, []byte) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch path := r.Method + " " + strings.Join(parts[1:min(len(parts), 3)], "/"); {
	case path == "GET channels":
		return 200, []byte(`{"channels":[{"id":"web","currency":"GBP"}]}`)
	case strings.HasPrefix(path, "GET products/"):
		if slices.Contains(s.lacks, parts[2]) {
			return refused(404, "not_found")
		}
		return 200, []byte(`{}`)
	case path == "GET prices":
		return s.prices(r)
	case strings.HasPrefix(path, "PUT users/"):
		var user struct{ Country string }
		_ = json.Unmarshal([]byte(body), &user)
		s.users[parts[2]] = user.Country
		return 200, []byte(`{}`)
	case path == "POST stock/movements":
		return s.receive(body)
	case path == "POST desk/orders":
		return s.order(body)
	case strings.HasPrefix(path, "POST shipments/"):
		return s.dispatch(parts[2])
	case strings.HasPrefix(path, "POST orders/"):
		return s.back(parts[2], body)
	case path == "GET orders":
		return s.list(r)
	case strings.HasPrefix(path, "GET orders/"):
		if s.find(parts[2]) == nil {
			return refused(404, "not_found")
		}
		return 200, []byte(`{}`)
	}
	return refused(404, "route_not_found")
}

// prices are at most 100 a page, of SKUs that are asked for.
func (s *stub) prices(r *http.Request) (int, []byte) {
	skus := r.URL.Query()["skus"]
	if len(skus) == 0 || len(skus) > 100 || r.URL.Query().Get("channel") != "web" {
		return refused(400, "malformed_query")
	}
	prices := []map[string]string{}
	for _, sku := range skus {
		if !slices.Contains(s.lacks, sku) && !slices.Contains(s.free, sku) {
			prices = append(prices, map[string]string{"sku": sku})
		}
	}
	text, _ := json.Marshal(map[string]any{"prices": prices}) // maps of texts
	return 200, text
}

func (s *stub) receive(body string) (int, []byte) {
	var sent struct {
		Movements []struct {
			SKU      string
			Quantity int
		}
	}
	if err := json.Unmarshal([]byte(body), &sent); err != nil || len(sent.Movements) > movementsMax {
		return refused(400, "malformed_json")
	}
	for _, m := range sent.Movements {
		s.stock[m.SKU] += m.Quantity
	}
	return 200, []byte(`{}`)
}

type sentMoney struct{ Currency, Amount string }

func (m sentMoney) amount() retail.Amount {
	a, _ := retail.ParseAmount(m.Amount)
	return a
}

func (s *stub) order(body string) (int, []byte) {
	var sent struct {
		SubjectID string `json:"subject_id"`
		Reference string
		SoldAt    string    `json:"sold_at"`
		Expected  sentMoney `json:"expected_total"`
		Lines     []struct {
			SKU      string
			Quantity int
			Price    sentMoney `json:"unit_price"`
		}
	}
	if err := json.Unmarshal([]byte(body), &sent); err != nil || len(sent.Lines) == 0 || len(sent.Lines) > orderLines {
		return refused(400, "malformed_json")
	}
	o := &stubOrder{
		id: fmt.Sprintf("ord_%d", len(s.orders)+1), reference: sent.Reference, subject: sent.SubjectID, state: "confirmed", soldAt: sent.SoldAt,
	}
	needed := map[string]int{}
	for _, l := range sent.Lines {
		needed[l.SKU] += l.Quantity
		o.lines = append(o.lines, stubLine{sku: l.SKU, quantity: l.Quantity, price: l.Price.amount()})
		o.total += retail.Amount(l.Quantity) * l.Price.amount()
	}
	_, known := s.users[sent.SubjectID]
	switch {
	case !known:
		return refused(400, "unknown_subject")
	case o.total != sent.Expected.amount():
		return refused(409, "price_changed")
	case o.total == 0:
		return refused(422, "nothing_to_pay")
	}
	s.orders = append(s.orders, o)
	for sku, n := range needed {
		if s.stock[sku] < n {
			o.state, o.rejection = "rejected", "sold_out"
			return refused(409, "sold_out")
		}
	}
	for sku, n := range needed {
		s.stock[sku] -= n
	}
	s.opening[o.id] = s.dice.IntN(3)
	return 201, fmt.Appendf(nil, `{"lines":[{"id":"no","state":"no"}],"id":%q,"state":"confirmed"}`, o.id)
}

func (s *stub) find(id string) *stubOrder {
	for _, o := range s.orders {
		if o.id == id {
			return o
		}
	}
	return nil
}

func (s *stub) dispatch(id string) (int, []byte) {
	o := s.find(id)
	if o == nil || s.opening[id] > 0 {
		s.opening[id]--
		return refused(404, "shipment_not_found")
	}
	o.dispatched, o.captured = true, o.total
	s.opening[id] = s.dice.IntN(3) // now until orders hears of it
	return 200, []byte(`{}`)
}

func (s *stub) back(id, body string) (int, []byte) {
	var sent struct {
		Received  bool
		Reference string
		Lines     []struct{ Line, Quantity int }
		Refund    *sentMoney
	}
	if err := json.Unmarshal([]byte(body), &sent); err != nil || !sent.Received || len(sent.Lines) == 0 {
		return refused(400, "malformed_json")
	}
	if sent.Reference == s.never {
		return refused(422, "too_many_returns")
	}
	o := s.find(id)
	if o == nil || !o.dispatched || s.opening[id] > 0 {
		s.opening[id]--
		return refused(409, "not_returnable")
	}
	var share retail.Amount
	for _, l := range sent.Lines {
		line := &o.lines[l.Line-1]
		if line.returned+l.Quantity > line.quantity {
			return refused(409, "not_returnable")
		}
		share += retail.Amount(l.Quantity) * line.price
	}
	refund := share
	if sent.Refund != nil {
		if refund = sent.Refund.amount(); refund > share {
			return refused(409, "not_refundable")
		}
	}
	for _, l := range sent.Lines {
		o.lines[l.Line-1].returned += l.Quantity
		s.stock[o.lines[l.Line-1].sku] += l.Quantity
	}
	o.refunded += refund
	o.returns++
	return 201, fmt.Appendf(nil, `{"id":"ret_%s_%d"}`, id, o.returns)
}

func (s *stub) list(r *http.Request) (int, []byte) {
	page, state := 100, r.URL.Query().Get("payment_state")
	from := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("page_token"), &from) // none: from the first
	var out struct {
		Orders []map[string]any `json:"orders"`
		Next   string           `json:"next_page_token"`
	}
	for at, o := range s.orders {
		if at < from || state == "authorized" && (o.reference != s.unpaid || o.state != "confirmed") {
			continue
		}
		if len(out.Orders) == page {
			out.Next = fmt.Sprint(at)
			break
		}
		money := func(a retail.Amount) map[string]string {
			return map[string]string{"currency": "GBP", "amount": a.String()}
		}
		out.Orders = append(out.Orders, map[string]any{
			"id": o.id, "reference": o.reference, "state": o.state, "rejection": o.rejection,
			"total": money(o.total), "captured": money(o.captured), "refunded": money(o.refunded),
		})
	}
	text, _ := json.Marshal(out) // maps of texts
	return 200, text
}

// state is all that a replay leaves in a shop, for comparison.
func (s *stub) state() string {
	var all []string
	for _, o := range s.orders {
		all = append(all, fmt.Sprint(o.reference, o.subject, o.state, o.soldAt, o.lines, o.captured, o.refunded, s.users[o.subject]))
	}
	for sku, n := range s.stock {
		all = append(all, fmt.Sprint(sku, " ", n))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
