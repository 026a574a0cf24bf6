package rate_test

import (
	"testing"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/shipping/rate"
)

func TestOptionsForAParcel(t *testing.T) {
	rates := append(rate.Defaults(), rate.Rate{
		ID: "isles", Name: "Isles", Countries: []string{"IM", "JE"}, Currency: "GBP", Brackets: []rate.Bracket{{UpToGrams: 500, PriceMinor: 100}},
	})
	for _, c := range []struct {
		given, country, currency string
		grams                    int32
		want                     string
	}{
		{"a light parcel at home, cheapest first", "GB", "GBP", 400, "standard 3.95 GBP, express 6.95 GBP"},
		{"the bracket ends with its weight", "GB", "GBP", 1000, "standard 3.95 GBP, express 6.95 GBP"},
		{"a gram more is the next bracket", "GB", "GBP", 1001, "standard 3.95 GBP, express 9.95 GBP"},
		{"a very heavy one", "GB", "GBP", 1_000_000_000, "standard 3.95 GBP, express 39.95 GBP"},
		{"a rate of its own for a country", "JE", "GBP", 500, "isles 1.00 GBP, standard 3.95 GBP, express 6.95 GBP"},
		{"that does not take more", "JE", "GBP", 501, "standard 3.95 GBP, express 6.95 GBP"},
		{"no rate in that currency", "GB", "EUR", 1, ""},
	} {
		t.Run(c.given, func(t *testing.T) {
			got := ""
			for i, o := range rate.Options(rates, c.country, c.currency, c.grams) {
				if i > 0 {
					got += ", "
				}
				got += o.ID + " " + o.Price.String()
			}
			if got != c.want {
				t.Errorf("options are %s, want %s", got, c.want)
			}
		})
	}
}

func TestARateThatCannotBeAppliedIsRefused(t *testing.T) {
	for _, c := range []struct {
		given, field string
		spoil        func(*rate.Rate)
	}{
		{"no id", "id", func(r *rate.Rate) { r.ID = "" }},
		{"no name", "name", func(r *rate.Rate) { r.Name = "" }},
		{"no such currency", "currency", func(r *rate.Rate) { r.Currency = "XYZ" }},
		{"a country in words", "countries[0]", func(r *rate.Rate) { r.Countries = []string{"Britain"} }},
		{"no brackets", "brackets", func(r *rate.Rate) { r.Brackets = nil }},
		{"a price below zero", "brackets[0].price", func(r *rate.Rate) { r.Brackets[0].PriceMinor = -1 }},
		{"brackets that do not ascend", "brackets[1].up_to_grams", func(r *rate.Rate) { r.Brackets[1].UpToGrams = 1 }},
		{"any weight before the last", "brackets[0].up_to_grams", func(r *rate.Rate) { r.Brackets[0].UpToGrams = 0 }},
	} {
		t.Run(c.given, func(t *testing.T) {
			r := rate.Defaults()[1]
			c.spoil(&r)
			p := problem.Of(r.Check())
			if p == nil || len(p.Violations) != 1 || p.Violations[0].Field != c.field {
				t.Errorf("the refusal is %v, want one of %s", p, c.field)
			}
		})
	}
	for _, r := range rate.Defaults() {
		if err := r.Check(); err != nil {
			t.Errorf("a default rate is refused: %v", err)
		}
	}
}
