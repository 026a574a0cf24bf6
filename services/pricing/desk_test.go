package pricing_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	pricingv1 "github.com/seed-21071466/souk/gen/souk/pricing/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/pricing"
)

func pounds(amount string) *typev1.Money { return &typev1.Money{Currency: "GBP", Amount: amount} }

// desk asks as the sales desk of orders does.
func (s *shop) desk(lines ...*pricingv1.QuoteLine) (*pricingv1.QuoteResponse, error) {
	client := pricingv1.NewPricingClient(s.rpc.Dial("orders", pricing.Name))
	return client.QuoteDesk(s.t.Context(), &pricingv1.QuoteRequest{Lines: lines})
}

func TestTheDeskSetsThePriceOfALine(t *testing.T) {
	s := open(t)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "12.00", "")+`]}`)
	q, err := s.desk(
		&pricingv1.QuoteLine{Sku: "A", Quantity: 2, UnitPrice: pounds("6.00")},
		&pricingv1.QuoteLine{Sku: "unlisted", Quantity: 1, UnitPrice: pounds("0.50")},
		&pricingv1.QuoteLine{Sku: "A", Quantity: 1},
	)
	s.must(err)
	want := &pricingv1.QuotedLine{
		Sku: "A", Quantity: 2, UnitPrice: pounds("6.00"), Subtotal: pounds("12.00"), Discount: pounds("0.00"),
		Tax: pounds("2.00"), Total: pounds("12.00"), TaxRate: "0.2", ListPrice: pounds("12.00"),
	}
	if !proto.Equal(q.Lines[0], want) {
		t.Errorf("the first line is %v, want %v", q.Lines[0], want)
	}
	if l := q.Lines[1]; !proto.Equal(l.UnitPrice, pounds("0.50")) || l.ListPrice != nil {
		t.Errorf("what is not in the list is %v", l)
	}
	if l := q.Lines[2]; !proto.Equal(l.UnitPrice, pounds("12.00")) || l.ListPrice != nil {
		t.Errorf("the line without a price of its own is %v", l)
	}
	if len(q.UnpricedSkus) > 0 || !proto.Equal(q.Total, pounds("24.50")) {
		t.Errorf("the total is %v without %v", q.Total, q.UnpricedSkus)
	}
}

func TestABadDeskPriceIsRefusedNamingTheField(t *testing.T) {
	s := open(t)
	for _, row := range []struct {
		name, code string
		status     int
		unit       *typev1.Money
	}{
		{"more digits than the currency has", "excess_digits", 400, pounds("1.005")},
		{"another currency", "currency_not_sold", 422, &typev1.Money{Currency: "EUR", Amount: "1.00"}},
		{"below nothing", "bad_amount", 400, pounds("-1.00")},
		{"no amount", "bad_amount", 400, pounds("")},
	} {
		_, err := s.desk(&pricingv1.QuoteLine{Sku: "A", Quantity: 1, UnitPrice: pounds("1.00")}, &pricingv1.QuoteLine{Sku: "B", Quantity: 1, UnitPrice: row.unit})
		p := problem.Of(err)
		if p == nil || p.Kind.HTTP() != row.status || len(p.Violations) != 1 || p.Violations[0].Field != "lines[1].unit_price" || p.Violations[0].Code != row.code {
			t.Errorf("%s is %+v, want %d %s", row.name, p, row.status, row.code)
		}
	}
}

func TestNobodyElseSetsAPrice(t *testing.T) {
	s := open(t)
	s.staff("POST", "/api/prices:batch", `{"prices":[`+price("A", "12.00", "")+`]}`)
	ask := `{"lines":[{"sku":"A","quantity":1},{"sku":"A","quantity":1,"unit_price":{"currency":"GBP","amount":"0.01"}}]}`
	for _, who := range []auth.Kind{auth.Anonymous, auth.Staff} {
		s.holds(s.as(who, "POST", "/api/quotes", ask, 400), `lines[1].unit_price`, `not_allowed`)
	}
	client := pricingv1.NewPricingClient(s.rpc.Edge(pricing.Name))
	if _, err := client.QuoteDesk(t.Context(), &pricingv1.QuoteRequest{}); err == nil {
		t.Error("the front door may ask as the desk does")
	}
}

func BenchmarkQuoteDesk(b *testing.B) {
	for _, lines := range []int{20, 700} {
		b.Run(fmt.Sprint(lines, " lines"), func(b *testing.B) {
			s := open(b)
			ask := &pricingv1.QuoteRequest{}
			for i := range lines {
				sku := fmt.Sprint("SKU", i)
				s.staff("POST", "/api/prices:batch", `{"prices":[`+price(sku, "12.00", "")+`]}`)
				ask.Lines = append(ask.Lines, &pricingv1.QuoteLine{Sku: sku, Quantity: 2, UnitPrice: pounds("11.50")})
			}
			client := pricingv1.NewPricingClient(s.rpc.Dial("orders", pricing.Name))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.QuoteDesk(b.Context(), ask); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
