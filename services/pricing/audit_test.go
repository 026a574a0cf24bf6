package pricing_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/seed-21071466/souk/kit/auth"
)

func TestAllPricesAreListedWithTheirRevisions(t *testing.T) {
	s := open(t)
	s.staff("PUT", "/api/channels/trade", `{"currency": "EUR", "default_country": "DE"}`)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("B", "2.00", `,"valid_from":"2030-01-01T00:00:00Z"`)+`,`+price("A", "1.00", "")+`]}`)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "1.50", "")+`]}`)
	s.staff("POST", "/api/prices:batch", `{"channel": "trade", "prices":[{"sku": "A", "price": {"currency": "EUR", "amount": "0.90"}}]}`)
	want := []string{"trade A 0.90 EUR  1", "web A 1.50 GBP  2", "web B 2.00 GBP 2030-01-01T00:00:00Z 1"} // to come, and listed
	for size := 1; size <= 4; size++ {
		var all []string
		for token, more := "", true; more; more = token != "" {
			var page struct {
				Prices []struct {
					SKU, Channel string
					Price        struct{ Currency, Amount string }
					From         string `json:"valid_from"`
					Revision     string
				}
				Next string `json:"next_page_token"`
			}
			answer := s.staff("GET", fmt.Sprint("/api/audit/pricing/prices?page_size=", size, "&page_token=", url.QueryEscape(token)), "")
			s.must(json.Unmarshal([]byte(answer), &page))
			for _, p := range page.Prices {
				all = append(all, fmt.Sprintf("%s %s %s %s %s %s", p.Channel, p.SKU, p.Price.Amount, p.Price.Currency, p.From, p.Revision))
			}
			token = page.Next
		}
		if !slices.Equal(all, want) {
			t.Errorf("in pages of %d: %q, want %q", size, all, want)
		}
	}
	s.as(auth.Anonymous, "GET", "/api/audit/pricing/prices", "", 401)
	for _, query := range []string{"page_size=1001", "page_size=-1", "page_token=x", "page_token=d2Vi"} {
		s.holds(s.as(auth.Staff, "GET", "/api/audit/pricing/prices?"+query, "", 400), query[:len("page_size")])
	}
}
