package replay

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seed-21071466/souk/test/shop"
)

// viewRequests is how many requests each view gets.
const viewRequests = 300

// view is one question of a merchant's, with all that it can be asked about.
type view struct {
	name  string
	rows  string // the member of its answers that has rows, or counts them
	paths []string
}

// each makes a path of each value.
func each(format string, values []string) (paths []string) {
	for _, v := range values {
		paths = append(paths, fmt.Sprintf(format, url.QueryEscape(v)))
	}
	return paths
}

func (s *asked) views() []view {
	return []view{
		{"orders", "orders", []string{"/api/orders?page_size=100"}},
		{"orders by customer", "orders", each("/api/orders?subject_id=%s", s.customers)},
		{"orders by day", "orders", each("/api/orders?since=%[1]s&until=%[1]s", s.days)},
		{"orders by state", "orders", each("/api/orders?state=%s", s.states)},
		{"orders by country", "orders", each("/api/orders?country=%s", s.countries)},
		{"orders by payment", "orders", each("/api/orders?payment_state=%s", s.payments)},
		{"orders by country, day and state", "orders", s.combined},
		{"a later page of orders", "orders", each("/api/orders?page_token=%s", s.cursors)},
		{"an order by its number", "orders", each("/api/orders?reference=%s", s.references)},
		{"lines of orders by customer", "lines", each("/api/order-lines?subject_id=%s", s.customers)},
		{"returns by customer", "returns", each("/api/returns?subject_id=%s", s.returners)},
		{"sales by product and day", "sales", each("/api/sales?since=%[1]s&until=%[1]s", s.sold)},
		{"sales of a product", "sales", each("/api/sales?sku=%s", s.skus)},
		{"sales by day", "sales", each("/api/sales/days?since=%s", s.sold)},
		{"sales by product", "sales", []string{"/api/sales/products"}},
		{"movements of a product", "movements", each("/api/stock/%s/movements", s.skus)},
		{"movements of a product and day", "movements", s.moved},
		{"a customer's wallet", "entries", each("/api/wallets/%s", s.wallets)},
		{"a wallet's entries", "entries", each("/api/wallets/%s/entries", s.wallets)},
	}
}

// views asks for each view as a merchant would, a few hundred times. Every answer has rows:
// one that finds nothing would be fast whatever the view is like.
func (r *rig) views(t *testing.T, out *table) {
	t.Helper()
	s := r.subjects(t)
	dice := rand.New(rand.NewPCG(11, 13))
	for _, v := range s.views() {
		if len(v.paths) == 0 {
			out.row("view: "+v.name, "this file has nothing for it", bar(*fileFlag != "", "something to ask for"))
			continue
		}
		h := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
		for range viewRequests {
			request := r.shop.Staff("GET", v.paths[dice.IntN(len(v.paths))], "", nil)
			began := time.Now()
			answer, err := r.shop.Try(request)
			took := time.Since(began)
			if err != nil || answer.Status != 200 || rows(answer.JSON()[v.rows]) == 0 {
				t.Fatalf("%s answered %s %v", request.Path, answer, err)
			}
			if err := h.RecordValue(took.Microseconds()); err != nil {
				t.Fatal(err)
			}
		}
		p50, p99 := float64(h.ValueAtQuantile(50))/1000, float64(h.ValueAtQuantile(99))/1000
		out.row("view: "+v.name+", p50 and p99", fmt.Sprintf("%.1f and %.1f ms", p50, p99), bar(p99 < viewMax, "below 10 ms"))
	}
}

// rows counts a list, or reads a count.
func rows(member any) int {
	if count, ok := member.(float64); ok {
		return int(count)
	}
	list, _ := member.([]any)
	return len(list)
}

// asked is what views are asked for, of each only what the shop has rows of.
type asked struct {
	customers, days, countries, references, cursors, states, payments []string
	returners, skus, wallets                                          []string
	sold                                                              []string // days of orders that were paid
	combined, moved                                                   []string // paths
}

const (
	askedPages   = 60 // of orders that are looked at
	askedMoves   = 50 // products whose days of movements are asked for
	askedWallets = 20
)

// subjects draws from what the shop lists.
func (r *rig) subjects(t *testing.T) (s asked) {
	t.Helper()
	token := ""
	for range askedPages {
		page := r.shop.Call(t, 200, r.shop.Staff("GET", "/api/orders?page_size=100&page_token="+url.QueryEscape(token), "", nil)).JSON()
		for _, o := range members(page, "orders") {
			s.order(o)
		}
		if token, _ = page["next_page_token"].(string); token == "" {
			break
		}
		s.cursors = append(s.cursors, token)
	}
	for _, l := range members(r.list(t, "/api/order-lines?page_size=100"), "lines") {
		if line, ok := l["line"].(map[string]any); ok && l["state"] == "confirmed" {
			add(&s.skus, line["sku"])
		}
	}
	for _, c := range members(r.list(t, "/api/returns?page_size=100"), "returns") {
		add(&s.returners, c["subject_id"])
	}
	for _, sku := range s.skus[:min(len(s.skus), askedMoves)] {
		r.moves(t, &s, sku)
	}
	for _, customer := range s.customers[:min(len(s.customers), askedWallets)] {
		r.shop.Call(t, 200, r.shop.Staff("POST", "/api/wallets/"+customer+"/deposits", "view-"+customer, map[string]any{"amount": shop.GBP("5.00")}))
		s.wallets = append(s.wallets, customer)
	}
	return s
}

// order takes in what an order can be asked for by.
func (s *asked) order(o map[string]any) {
	for to, member := range map[*[]string]string{
		&s.customers: "subject_id", &s.days: "day", &s.countries: "country", &s.references: "reference", &s.states: "state", &s.payments: "payment_state",
	} {
		add(to, o[member])
	}
	if o["state"] == "confirmed" {
		add(&s.sold, o["day"])
		if country, _ := o["country"].(string); country != "" {
			add(&s.combined, fmt.Sprintf("/api/orders?state=confirmed&country=%s&since=%s", country, o["day"]))
		}
	}
}

// moves takes in the days on which pieces of a product left the shop.
func (r *rig) moves(t *testing.T, s *asked, sku string) {
	t.Helper()
	for _, m := range members(r.list(t, "/api/stock/"+sku+"/movements?kind=shipped"), "movements") {
		if at, _ := m["at"].(string); len(at) > len(time.DateOnly) {
			day := at[:len(time.DateOnly)]
			add(&s.moved, fmt.Sprintf("/api/stock/%s/movements?kind=shipped&since=%s&until=%s", sku, day, day))
		}
	}
}

func (r *rig) list(t *testing.T, path string) map[string]any {
	t.Helper()
	return r.shop.Call(t, 200, r.shop.Staff("GET", path, "", nil)).JSON()
}

// members are the rows of a list.
func members(page map[string]any, name string) (all []map[string]any) {
	list, _ := page[name].([]any)
	for _, one := range list {
		all = append(all, one.(map[string]any))
	}
	return all
}

func add(to *[]string, value any) {
	if text, ok := value.(string); ok && text != "" && !slices.Contains(*to, text) {
		*to = append(*to, text)
	}
}
