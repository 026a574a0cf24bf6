package product

import (
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-21071466/souk/kit/id"
)

// Normalise gives a product its one written form (texts trimmed, defaults
// filled in, doubles removed) and refuses one that breaks a rule, naming every
// field at fault. An empty handle stays empty: Named fills it in.
func Normalise(p Product) (Product, error) {
	p = p.trimmed()
	c := &checker{}
	if !id.Valid(p.ID) {
		c.refuse("id", "not_an_id", `an id is 1 to 64 letters, digits, "_", "-" and "."`)
	}
	p.checkTexts(c)
	p.checkShelf(c)
	p.checkOptions(c)
	p.checkVariants(c)
	p.checkAttributes(c)
	p.checkMedia(c)
	return p, c.err()
}

// Named gives a product without a handle the one it had, or one made from its title.
func (p Product) Named(current *Product) Product {
	switch {
	case p.Handle != "":
	case current != nil:
		p.Handle = current.Handle
	default:
		p.Handle = HandleFor(p.Title, p.ID)
	}
	return p
}

func (p Product) trimmed() Product {
	p.Title, p.Description = p.Title.normalise(), p.Description.normalise()
	p.Handle = strings.TrimSpace(p.Handle)
	p.Status = orElse(p.Status, Active)
	p.TaxClass = orElse(p.TaxClass, StandardTax)
	if len(p.CategoryIDs) <= CategoriesMax { // more are refused, however often each is named
		p.CategoryIDs = distinct(p.CategoryIDs)
	}
	p.Options, p.Media = slices.Clone(p.Options), slices.Clone(p.Media)
	p.Variants = slices.Clone(p.Variants)
	for i, v := range p.Variants {
		p.Variants[i].SKU, p.Variants[i].EAN = strings.TrimSpace(v.SKU), strings.TrimSpace(v.EAN)
	}
	return p
}

func orElse(text, otherwise string) string {
	if text = strings.TrimSpace(text); text == "" {
		return otherwise
	}
	return text
}

// distinct drops what was said before, in order.
func distinct(ids []string) []string {
	var kept []string
	for _, each := range ids {
		if !slices.Contains(kept, each) {
			kept = append(kept, each)
		}
	}
	return kept
}

func (p Product) checkTexts(c *checker) {
	if len(p.Title) == 0 {
		c.refuse("title", "required", `a product has a title in at least one language, such as {"en": "Mug"}`)
	}
	p.Title.check(c, "title", TitleCharsMax)
	p.Description.check(c, "description", DescriptionMax)
	if p.Handle != "" && (len(p.Handle) > HandleCharsMax || !isHandle(p.Handle)) {
		c.refuse("handle", "not_a_handle", "a handle is at most "+strconv.Itoa(HandleCharsMax)+
			" small letters and digits, joined by single hyphens")
	}
	if len(p.Metadata) > MetadataMax {
		c.tooMany("metadata", MetadataMax)
	}
	for _, key := range slices.Sorted(maps.Keys(p.Metadata)) {
		c.name("metadata."+key, key, MetadataKeyMax)
		c.text("metadata."+key, p.Metadata[key], MetadataValueMax)
	}
}

func isHandle(s string) bool {
	for part := range strings.SplitSeq(s, "-") {
		if part == "" || !allWordBytes(part) || strings.ToLower(part) != part {
			return false
		}
	}
	return true
}

func (p Product) checkShelf(c *checker) {
	if !slices.Contains([]string{Active, Draft, Archived}, p.Status) {
		c.refuse("status", "unknown_status", `a status is "active", "draft" or "archived"`)
	}
	if len(p.TaxClass) > TaxClassMax || !id.Valid(p.TaxClass) {
		c.refuse("tax_class", "not_a_tax_class", `a tax class is at most 32 letters, digits, "_", "-" and "."`)
	}
	if len(p.CategoryIDs) > CategoriesMax {
		c.tooMany("category_ids", CategoriesMax)
	}
	for i, category := range p.CategoryIDs {
		if !id.Valid(category) {
			c.refuse(at("category_ids", i), "not_an_id", "this cannot be the id of a category")
		}
	}
}

func (p Product) checkOptions(c *checker) {
	if len(p.Options) > OptionsMax {
		c.tooMany("options", OptionsMax)
	}
	names := make(map[string]bool, len(p.Options))
	for i, option := range p.Options {
		field := at("options", i)
		c.name(field+".name", option.Name, OptionCharsMax)
		if names[option.Name] {
			c.refuse(field+".name", "repeated", "this option stands twice")
		}
		names[option.Name] = true
		option.checkValues(c, field+".values")
	}
}

func (o Option) checkValues(c *checker, field string) {
	switch {
	case len(o.Values) == 0:
		c.refuse(field, "required", "an option has at least one value")
	case len(o.Values) > OptionValuesMax:
		c.tooMany(field, OptionValuesMax)
	case len(distinct(o.Values)) < len(o.Values):
		c.refuse(field, "repeated", "a value stands twice")
	}
	for i, value := range o.Values {
		c.name(at(field, i), value, OptionCharsMax)
	}
}

func (p Product) checkVariants(c *checker) {
	switch {
	case len(p.Variants) == 0:
		c.refuse("variants", "required", "a product has at least one variant")
	case len(p.Variants) > VariantsMax:
		c.tooMany("variants", VariantsMax)
		return
	}
	skus, choices := make(map[string]bool), make(map[string]bool)
	for i, v := range p.Variants {
		field := at("variants", i)
		v.check(c, field)
		if skus[v.SKU] {
			c.refuse(field+".sku", "repeated", "this SKU stands twice in the product")
		}
		skus[v.SKU] = true
		choice := p.choice(c, field+".options", v)
		if choices[choice] {
			c.refuse(field+".options", "same_choice", "another variant has the same choices; options tell variants apart")
		}
		choices[choice] = true
	}
}

func (v Variant) check(c *checker, field string) {
	if !id.Valid(v.SKU) {
		c.refuse(field+".sku", "not_a_sku", `a SKU is 1 to 64 letters, digits, "_", "-" and "."`)
	}
	if v.WeightGrams < 0 || v.WeightGrams > WeightGramsMax {
		c.refuse(field+".weight_grams", "out_of_range", "a weight is 0 to "+strconv.Itoa(WeightGramsMax)+" grams")
	}
	if v.EAN != "" && !IsEAN(v.EAN) {
		c.refuse(field+".ean", "not_an_ean", "an EAN is 8, 12, 13 or 14 digits, the last one their check digit")
	}
}

// choice is a variant's values in the product's order of options; it refuses
// values that the options do not offer.
func (p Product) choice(c *checker, field string, v Variant) string {
	var choice strings.Builder
	for _, option := range p.Options {
		value := v.Options[option.Name]
		if !slices.Contains(option.Values, value) {
			c.refuse(field+"."+option.Name, "unknown_value", "must be one of the values of this option")
		}
		choice.WriteString(value)
		choice.WriteByte(0)
	}
	for _, name := range slices.Sorted(maps.Keys(v.Options)) {
		if !slices.ContainsFunc(p.Options, func(o Option) bool { return o.Name == name }) {
			c.refuse(field+"."+name, "unknown_option", "the product has no such option")
		}
	}
	return choice.String()
}

func (p Product) checkAttributes(c *checker) {
	if len(p.Attributes) > AttributesMax {
		c.tooMany("attributes", AttributesMax)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		field := "attributes." + name
		c.name(field, name, AttributeNameMax)
		switch a := p.Attributes[name]; {
		case a.Text != nil:
			c.text(field+".text", *a.Text, AttributeTextMax)
		case a.Number != nil:
			if math.IsNaN(*a.Number) || math.IsInf(*a.Number, 0) {
				c.refuse(field+".number", "not_a_number", "must be a finite number")
			}
		case a.Flag == nil:
			c.refuse(field, "required", "exactly one of text, number and flag is set")
		}
	}
}

func (p Product) checkMedia(c *checker) {
	if len(p.Media) > MediaMax {
		c.tooMany("media", MediaMax)
	}
	for i, m := range p.Media {
		if !isURL(m.URL) {
			c.refuse(at("media", i)+".url", "not_a_url", `a URL begins with "https://", "http://" or "/" and has at most 2048 characters`)
		}
		c.text(at("media", i)+".alt", m.Alt, AltCharsMax)
	}
}

// isURL accepts what a page may show as a picture: never a script.
func isURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > URLCharsMax {
		return false
	}
	if strings.HasPrefix(s, "/") {
		return !strings.HasPrefix(s, "//")
	}
	return (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// IsEAN checks the digits of a GTIN-8, -12, -13 or -14 with the check digit of
// the GS1 General Specifications §7.9: weights 3 and 1 from the right.
func IsEAN(s string) bool {
	if !slices.Contains([]int{8, 12, 13, 14}, len(s)) {
		return false
	}
	sum := 0
	for i := range len(s) {
		digit := int(s[i]) - '0'
		if digit < 0 || digit > 9 {
			return false
		}
		if (len(s)-i)%2 == 0 {
			digit *= 3
		}
		sum += digit
	}
	return sum%10 == 0
}
