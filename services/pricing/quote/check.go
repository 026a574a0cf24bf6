package quote

import (
	"strconv"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
)

// Check refuses a request that cannot be priced, naming the field.
func (r *Request) Check() error {
	if len(r.Lines) > LinesMax {
		return problem.Field("lines", "too_many", "a quote has at most 2000 lines")
	}
	if r.Country != "" && !Country(r.Country) {
		return badCountry("country")
	}
	for i := range r.Lines {
		if err := r.Lines[i].check(i, r.Channel); err != nil {
			return err
		}
	}
	if r.Shipping.Negative() {
		return problem.Field("shipping", "negative", "shipping costs nothing or more")
	}
	return nil
}

// check refuses a line that cannot be priced, naming its field.
func (l *Line) check(i int, c Channel) error {
	switch {
	case !id.Valid(l.SKU):
		return problem.Field(Field(i, "sku"), "not_a_sku", "this cannot be a SKU")
	case l.Quantity < 1 || l.Quantity > QuantityMax:
		return problem.Field(Field(i, "quantity"), "out_of_range", "it is 1 to 1000000")
	case l.TaxClass != "" && !id.Valid(l.TaxClass):
		return problem.Field(Field(i, "tax_class"), "not_a_tax_class", "this cannot be a tax class")
	case l.priced() && l.Own.Currency != c.Currency:
		refusal := otherCurrency(l.Own.Currency, c)
		return refusal.On(Field(i, "unit_price"), refusal.Code, refusal.Message)
	case l.Own.Negative():
		return problem.Field(Field(i, "unit_price"), "negative", "a price is nothing or more")
	}
	return nil
}

// Field is the path of a line's field: lines[0].sku.
func Field(line int, name string) string { return "lines[" + strconv.Itoa(line) + "]." + name }

// Check refuses a channel that cannot sell, naming the field.
func (c *Channel) Check() error {
	switch _, known := money.Exponent(c.Currency); {
	case !id.Valid(c.ID):
		return problem.Field("channel.id", "not_an_id", "this cannot be the id of a channel")
	case !known:
		return problem.Field("channel.currency", money.CodeUnknownCurrency, "it is a code of ISO 4217, such as GBP")
	case !Country(c.DefaultCountry):
		return badCountry("channel.default_country")
	}
	return nil
}

// Check refuses a price that this channel cannot hold.
func (p *Price) Check(c Channel) error {
	switch {
	case !id.Valid(p.SKU):
		return problem.Field("sku", "not_a_sku", "this cannot be a SKU")
	case p.Amount.Currency != c.Currency:
		return otherCurrency(p.Amount.Currency, c)
	case p.Amount.Negative():
		return problem.Field("price", "negative", "a price is nothing or more")
	case !p.Until.IsZero() && !p.From.Before(p.Until):
		return problem.Field("valid_until", "before_valid_from", "a price ends after it begins")
	}
	return nil
}

// Country says that this may be a country's ISO 3166-1 alpha-2 code.
func Country(code string) bool {
	return len(code) == 2 && 'A' <= code[0] && code[0] <= 'Z' && 'A' <= code[1] && code[1] <= 'Z'
}

func badCountry(field string) error {
	return problem.Field(field, "not_a_country", "it is a code of ISO 3166-1, two capital letters, such as GB")
}
