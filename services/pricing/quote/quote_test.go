package quote_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

var british = quote.Taxes{
	{Country: "GB", Class: quote.Standard}: 200_000,
	{Country: "GB", Class: quote.Reduced}:  50_000,
}

func pounds(minor int64) money.Money { return money.Of(minor, "GBP") }

func channel(inclusive bool) quote.Channel {
	return quote.Channel{ID: "web", Currency: "GBP", TaxInclusive: inclusive, DefaultCountry: "GB"}
}

// ask is a request with the price of each of its lines.
type ask struct {
	quote.Request
	prices []*quote.Price
}

func (a *ask) line(minor, quantity int64, class string) *ask {
	a.Lines = append(a.Lines, quote.Line{SKU: "A", Quantity: quantity, TaxClass: class})
	a.prices = append(a.prices, &quote.Price{SKU: "A", Amount: pounds(minor)})
	return a
}

func in(country string, inclusive bool) *ask {
	return &ask{Request: quote.Request{Channel: channel(inclusive), Country: country}}
}

func TestQuote(t *testing.T) {
	shipped := func(a *ask, minor int64) *ask {
		a.Shipping = pounds(minor)
		return a
	}
	for _, row := range []struct {
		name       string
		ask        *ask
		tax, total int64
	}{
		{"tax comes on top where prices exclude it", in("GB", false).line(1000, 2, ""), 400, 2400},
		{"tax is contained where prices include it", in("GB", true).line(1200, 1, ""), 200, 1200},
		{"shipping is taxed too", shipped(in("GB", false).line(1000, 1, ""), 500), 300, 1800},
		{"shipping contains tax where prices do", shipped(in("GB", true).line(1200, 1, ""), 600), 300, 1800},
		{"each line has its class", in("GB", false).line(1000, 1, quote.Reduced).line(1000, 1, quote.ZeroRate), 50, 2050},
		{"an unknown class is taxed as standard", in("GB", false).line(1000, 1, "standrad"), 200, 1200},
		{"a country without rates has no tax", in("US", false).line(1000, 1, ""), 0, 1000},
		{"each line is rounded for itself, half to even", in("GB", false).line(10, 1, quote.Reduced).line(30, 1, quote.Reduced), 0 + 2, 42},
		{"nothing costs nothing", in("GB", true), 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			q, err := quote.Make(row.ask.Request, row.ask.prices, british)
			if err != nil || q.Tax.Minor != row.tax || q.Total.Minor != row.total {
				t.Errorf("tax %v, total %v, %v; want %d, %d", q.Tax, q.Total, err, row.tax, row.total)
			}
		})
	}
}

func TestALineWithoutAPriceIsNamed(t *testing.T) {
	a := in("GB", true).line(1200, 1, "").line(1, 1, "")
	a.prices[1], a.Lines[1].SKU = nil, "B"
	q, err := quote.Make(a.Request, a.prices, british)
	if err != nil || len(q.Unpriced) != 1 || q.Unpriced[0] != "B" || q.Lines[1].Known || !q.Lines[0].Known {
		t.Errorf("the quote is %+v, %v", q, err)
	}
}

func TestALinesOwnPriceTakesThePlaceOfTheLists(t *testing.T) {
	a := in("GB", true).line(1200, 2, "").line(1, 3, "").line(50, 1, "")
	a.Lines[0].Own = pounds(600)
	a.prices[1], a.Lines[1].Own = nil, pounds(0) // given away, and not in the list at all
	q, err := quote.Make(a.Request, a.prices, british)
	if err != nil || len(q.Unpriced) > 0 {
		t.Fatalf("unpriced %v, %v", q.Unpriced, err)
	}
	none := money.Money{}
	for i, want := range []struct{ unit, list, subtotal, tax money.Money }{
		{pounds(600), pounds(1200), pounds(1200), pounds(200)},
		{pounds(0), none, pounds(0), pounds(0)},
		{pounds(50), none, pounds(50), pounds(8)},
	} {
		if l := q.Lines[i]; l.Unit != want.unit || l.List != want.list || l.Subtotal != want.subtotal || l.Tax != want.tax {
			t.Errorf("line %d is %+v, want %v", i, l, want)
		}
	}
	if q.Total != pounds(1250) {
		t.Errorf("the total is %v", q.Total)
	}
}

func TestALinesOwnPriceIsInTheChannelsCurrencyAndNotBelowNothing(t *testing.T) {
	for _, row := range []struct {
		own   money.Money
		code  string
		field string
	}{
		{money.Of(1, "EUR"), "currency_not_sold", "lines[1].unit_price"},
		{pounds(-1), "negative", "lines[1].unit_price"},
		{pounds(0), "", ""},
	} {
		a := in("GB", true).line(1, 1, "").line(1, 1, "")
		a.Lines[1].Own = row.own
		err := a.Check()
		if row.code == "" {
			if err != nil {
				t.Errorf("%v is refused: %v", row.own, err)
			}
			continue
		}
		if p := problem.Of(err); p == nil || len(p.Violations) != 1 || p.Violations[0].Field != row.field || p.Violations[0].Code != row.code {
			t.Errorf("%v is %+v, want %s at %s", row.own, err, row.code, row.field)
		}
	}
}

func TestWhatCannotBePricedIsRefused(t *testing.T) {
	euros := in("GB", true).line(1, 1, "")
	euros.prices[0].Amount.Currency = "EUR"
	shipped := in("GB", true).line(1, 1, "")
	shipped.Shipping = money.Of(1, "EUR")
	for _, row := range []struct {
		name, code string
		ask        *ask
	}{
		{"a line beyond what can be counted", money.CodeOutOfRange, in("GB", true).line(math.MaxInt64, 2, "")},
		{"a sum beyond what can be counted", money.CodeOutOfRange, in("US", true).line(math.MaxInt64, 1, "").line(1, 1, "")},
		{"tax beyond what can be counted", money.CodeOutOfRange, in("GB", false).line(math.MaxInt64, 1, "")},
		{"a price in another currency", "currency_not_sold", euros},
		{"shipping in another currency", "currency_not_sold", shipped},
	} {
		if _, err := quote.Make(row.ask.Request, row.ask.prices, british); !problem.Is(err, row.code) {
			t.Errorf("%s is %v, want %s", row.name, err, row.code)
		}
	}
}

func TestTheSumsAgreeToTheMinorUnit(t *testing.T) {
	classes := []string{"", quote.Standard, quote.Reduced, quote.ZeroRate}
	rapid.Check(t, func(t *rapid.T) {
		a := in(rapid.SampledFrom([]string{"GB", "US"}).Draw(t, "country"), rapid.Bool().Draw(t, "inclusive"))
		a.Shipping = pounds(rapid.Int64Range(0, 10_000).Draw(t, "shipping"))
		taxes := quote.Taxes{
			{Country: "GB", Class: quote.Standard}: money.Rate(rapid.Int64Range(0, 1_000_000).Draw(t, "standard")),
			{Country: "GB", Class: quote.Reduced}:  money.Rate(rapid.Int64Range(0, 1_000_000).Draw(t, "reduced")),
		}
		for range rapid.IntRange(0, 30).Draw(t, "lines") {
			a.line(rapid.Int64Range(0, 100_000).Draw(t, "price"), rapid.Int64Range(1, 1000).Draw(t, "quantity"),
				rapid.SampledFrom(classes).Draw(t, "class"))
		}
		q, err := quote.Make(a.Request, a.prices, taxes)
		if err != nil {
			t.Fatal(err)
		}
		total, tax := q.Items.Minor+q.Shipping.Minor-q.Discounts.Minor, q.ShippingTax.Minor
		if !a.Channel.TaxInclusive {
			total += q.Tax.Minor
		}
		sum := q.Total.Minor
		for _, line := range q.Lines {
			tax += line.Tax.Minor
			sum -= line.Total.Minor
		}
		if q.Total.Minor != total || q.Tax.Minor != tax {
			t.Fatalf("%+v: total %d and tax %d are not the sums %d and %d", q, q.Total.Minor, q.Tax.Minor, total, tax)
		}
		shipping := q.Shipping.Minor
		if !a.Channel.TaxInclusive {
			shipping += q.ShippingTax.Minor
		}
		if sum != shipping {
			t.Fatalf("the total less its lines is %d, want shipping %d", sum, shipping)
		}
	})
}

func TestAPriceHoldsInItsTime(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name        string
		from, until time.Time
		holds       bool
	}{
		{"always", time.Time{}, time.Time{}, true},
		{"from this moment", noon, time.Time{}, true},
		{"from later on", noon.Add(1), time.Time{}, false},
		{"until later on", time.Time{}, noon.Add(1), true},
		{"until this moment, exclusive", time.Time{}, noon, false},
	} {
		p := quote.Price{From: row.from, Until: row.until}
		if p.HoldsAt(noon) != row.holds {
			t.Errorf("%s: holds is %v", row.name, !row.holds)
		}
	}
}

func TestARequestIsCheckedFieldByField(t *testing.T) {
	for _, row := range []struct {
		name, field string
		change      func(*quote.Request)
	}{
		{"a sku with a space", "lines[0].sku", func(r *quote.Request) { r.Lines[0].SKU = "a b" }},
		{"no piece", "lines[0].quantity", func(r *quote.Request) { r.Lines[0].Quantity = 0 }},
		{"a million and one", "lines[0].quantity", func(r *quote.Request) { r.Lines[0].Quantity = 1_000_001 }},
		{"a class with a slash", "lines[0].tax_class", func(r *quote.Request) { r.Lines[0].TaxClass = "a/b" }},
		{"a lower-case country", "country", func(r *quote.Request) { r.Country = "gb" }},
		{"shipping that pays", "shipping", func(r *quote.Request) { r.Shipping = pounds(-1) }},
		{"too many lines", "lines", func(r *quote.Request) { r.Lines = make([]quote.Line, quote.LinesMax+1) }},
	} {
		a := in("GB", true).line(1, 1, "")
		row.change(&a.Request)
		p := problem.Of(a.Check())
		if p == nil || len(p.Violations) != 1 || p.Violations[0].Field != row.field {
			t.Errorf("%s: refused with %+v, want field %s", row.name, p, row.field)
		}
	}
}

func BenchmarkQuoteOfTwoLines(b *testing.B) {
	a := in("GB", true).line(1200, 2, "").line(350, 1, quote.Reduced)
	a.Shipping = pounds(395)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := quote.Make(a.Request, a.prices, british); err != nil {
			b.Fatal(err)
		}
	}
}
