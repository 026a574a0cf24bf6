// Package rate is the heart of shipping: what it costs to send a parcel. It is pure.
package rate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
)

// Bounds of a rate.
const (
	NameMax      = 100 // characters of a name
	CountriesMax = 300 // countries of one rate
	BracketsMax  = 50  // weight brackets of one rate
	OptionsMax   = 50  // options told for one parcel
)

// Rate is a way of sending with its price by weight, in one currency.
type Rate struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Countries []string  `json:"countries,omitempty"` // none: everywhere
	Currency  string    `json:"currency"`
	Brackets  []Bracket `json:"brackets"` // ascending; the first that is heavy enough holds
}

// Bracket is the price of parcels up to a weight; 0 is any weight.
type Bracket struct {
	UpToGrams  int32 `json:"up_to_grams,omitempty"`
	PriceMinor int64 `json:"price_minor"`
}

// Option is a way to send one parcel.
type Option struct {
	ID, Name string
	Price    money.Money
}

// Check refuses a rate that could not be applied.
func (r *Rate) Check() error {
	switch {
	case !id.Valid(r.ID):
		return problem.Field("id", "malformed", "1 to 64 letters, digits, “_”, “-” and “.”")
	case r.Name == "" || len(r.Name) > NameMax:
		return problem.Field("name", "out_of_range", "1 to "+strconv.Itoa(NameMax)+" characters")
	case len(r.Countries) > CountriesMax:
		return problem.Field("countries", "too_many", "at most "+strconv.Itoa(CountriesMax))
	case len(r.Brackets) == 0 || len(r.Brackets) > BracketsMax:
		return problem.Field("brackets", "out_of_range", "1 to "+strconv.Itoa(BracketsMax)+" brackets")
	}
	if err := CheckCurrency(r.Currency); err != nil {
		return err
	}
	for i, c := range r.Countries {
		if len(c) != 2 || c != strings.ToUpper(c) {
			return problem.Field("countries["+strconv.Itoa(i)+"]", "malformed", "an ISO 3166-1 alpha-2 code such as GB")
		}
	}
	return r.checkBrackets()
}

// CheckCurrency refuses a currency that does not exist.
func CheckCurrency(currency string) error {
	if _, known := money.Exponent(currency); !known {
		return problem.Field("currency", "unknown", "an ISO 4217 code such as GBP")
	}
	return nil
}

func (r *Rate) checkBrackets() error {
	for i, b := range r.Brackets {
		at := "brackets[" + strconv.Itoa(i) + "]"
		if b.PriceMinor < 0 {
			return problem.Field(at+".price", "out_of_range", "a price of 0 or more")
		}
		last := i == len(r.Brackets)-1
		if b.UpToGrams < 0 || b.UpToGrams == 0 && !last || i > 0 && b.UpToGrams != 0 && b.UpToGrams <= r.Brackets[i-1].UpToGrams {
			return problem.Field(at+".up_to_grams", "out_of_range", "brackets ascend; only the last may be 0, which is any weight")
		}
	}
	return nil
}

// price is what a parcel costs by this rate; false when it does not go that way.
func (r *Rate) price(country, currency string, grams int32) (int64, bool) {
	if r.Currency != currency || len(r.Countries) > 0 && !slices.Contains(r.Countries, country) {
		return 0, false
	}
	for _, b := range r.Brackets {
		if b.UpToGrams == 0 || grams <= b.UpToGrams {
			return b.PriceMinor, true
		}
	}
	return 0, false
}

// Options are the ways to send a parcel, cheapest first.
func Options(rates []Rate, country, currency string, grams int32) []Option {
	var options []Option
	for i := range rates {
		if minor, ok := rates[i].price(country, currency, grams); ok {
			options = append(options, Option{rates[i].ID, rates[i].Name, money.Of(minor, currency)})
		}
	}
	slices.SortStableFunc(options, func(a, b Option) int {
		if a.Price.Minor != b.Price.Minor {
			return int(min(max(a.Price.Minor-b.Price.Minor, -1), 1))
		}
		return strings.Compare(a.ID, b.ID)
	})
	return options[:min(len(options), OptionsMax)]
}

// Defaults are the rates of a fresh shop: a flat one, and one by weight.
func Defaults() []Rate {
	return []Rate{
		{ID: "standard", Name: "Standard", Currency: "GBP", Brackets: []Bracket{{PriceMinor: 395}}},
		{ID: "express", Name: "Express", Currency: "GBP", Brackets: []Bracket{
			{UpToGrams: 1_000, PriceMinor: 695}, {UpToGrams: 5_000, PriceMinor: 995}, {UpToGrams: 20_000, PriceMinor: 1995}, {PriceMinor: 3995},
		}},
	}
}
