package replay

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// viewRequests is how many requests each view gets.
const viewRequests = 300

// views asks for each view as a merchant would, a few hundred times.
func (r *rig) views(t *testing.T, out *table) {
	t.Helper()
	s := r.subjects(t)
	dice := rand.New(rand.NewPCG(11, 13))
	one := func(of []string) string { return url.QueryEscape(of[dice.IntN(len(of))]) }
	for _, v := range []struct {
		name string
		path func() string
	}{
		{"orders", func() string { return "/api/orders?page_size=100" }},
		{"orders by customer", func() string { return "/api/orders?subject_id=" + one(s.customers) }},
		{"orders by day", func() string { day := one(s.days); return "/api/orders?since=" + day + "&until=" + day }},
		{"orders by state", func() string { return "/api/orders?state=" + one([]string{"confirmed", "rejected"}) }},
		{"orders by country", func() string { return "/api/orders?country=" + one(s.countries) }},
		{"orders by payment", func() string {
			return "/api/orders?payment_state=" + one([]string{"captured", "partly_refunded", "refunded", "payment_due"})
		}},
		{"orders by country, day and state", func() string {
			return "/api/orders?state=confirmed&country=" + one(s.countries) + "&since=" + one(s.days)
		}},
		{"a later page of orders", func() string { return "/api/orders?page_token=" + one(s.cursors) }},
		{"an order by its number", func() string { return "/api/orders?reference=" + one(s.references) }},
		{"lines of orders by customer", func() string { return "/api/order-lines?subject_id=" + one(s.customers) }},
		{"returns by customer", func() string { return "/api/returns?subject_id=" + one(s.customers) }},
		{"sales by product and day", func() string { day := one(s.days); return "/api/sales?since=" + day + "&until=" + day }},
		{"sales of a product", func() string { return "/api/sales?sku=" + one(s.skus) }},
		{"sales by day", func() string { return "/api/sales/days?since=" + one(s.days) }},
		{"sales by product", func() string { return "/api/sales/products" }},
		{"movements of a product", func() string { return "/api/stock/" + one(s.skus) + "/movements" }},
		{"movements of a product and day", func() string { return "/api/stock/" + one(s.skus) + "/movements?kind=shipped&since=" + today() }},
		{"a customer's wallet", func() string { return "/api/wallets/" + one(s.customers) }},
		{"a wallet's entries", func() string { return "/api/wallets/" + one(s.customers) + "/entries" }},
	} {
		h := hdrhistogram.New(1, time.Minute.Microseconds(), 3)
		for range viewRequests {
			request := r.shop.Staff("GET", v.path(), "", nil)
			began := time.Now()
			answer, err := r.shop.Try(request)
			took := time.Since(began)
			if err != nil || answer.Status != 200 {
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

func today() string { return time.Now().UTC().Format(time.DateOnly) }

// asked is what views are asked for.
type asked struct{ customers, days, countries, references, cursors, skus []string }

// subjects draws from what the shop lists.
func (r *rig) subjects(t *testing.T) (s asked) {
	t.Helper()
	token := ""
	for range 60 {
		page := r.shop.Call(t, 200, r.shop.Staff("GET", "/api/orders?page_size=100&page_token="+url.QueryEscape(token), "", nil)).JSON()
		orders, _ := page["orders"].([]any)
		for _, each := range orders {
			o := each.(map[string]any)
			add(&s.customers, o["subject_id"])
			add(&s.days, o["day"])
			add(&s.countries, o["country"])
			add(&s.references, o["reference"])
		}
		if token, _ = page["next_page_token"].(string); token == "" {
			break
		}
		s.cursors = append(s.cursors, token)
	}
	page := r.shop.Call(t, 200, r.shop.Staff("GET", "/api/order-lines?page_size=100", "", nil)).JSON()
	lines, _ := page["lines"].([]any)
	for _, each := range lines {
		if line, ok := each.(map[string]any)["line"].(map[string]any); ok {
			add(&s.skus, line["sku"])
		}
	}
	if len(s.customers) == 0 || len(s.skus) == 0 || len(s.cursors) == 0 {
		t.Fatalf("the shop lists too little: %d customers, %d products, %d pages", len(s.customers), len(s.skus), len(s.cursors))
	}
	return s
}

func add(to *[]string, value any) {
	if text, ok := value.(string); ok && text != "" && !slices.Contains(*to, text) {
		*to = append(*to, text)
	}
}
