package importer

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// flat is a row that says everything of one SKU in plain texts.
type flat struct {
	sku, title, description, price, currency, stock, weight, category, ean, image string
	attributes                                                                    map[string]string
}

// set fills in one column.
func (f *flat) set(column, value string) {
	switch column {
	case "sku":
		f.sku = value
	case "title":
		f.title = value
	case "description":
		f.description = value
	case "price":
		f.price = value
	case "currency":
		f.currency = value
	case "stock":
		f.stock = value
	case "weight_grams":
		f.weight = value
	case "category":
		f.category = value
	case "ean":
		f.ean = value
	case "image_url":
		f.image = value
	}
}

// fill makes a product of one variant, whose SKU is also the product's id.
func (f *flat) fill(r *row) {
	one := variant{SKU: f.sku, EAN: f.ean}
	r.product.ID, r.product.Title = f.sku, map[string]string{localeOfFlat: f.title}
	offers := offer{sku: f.sku, amount: f.price, currency: strings.ToUpper(f.currency)}
	if f.sku == "" {
		r.refuse("sku_required", "the row has no SKU")
	}
	if f.title == "" {
		r.refuse("title_required", "the row has no title")
	}
	if f.weight != "" {
		one.WeightGrams = r.whole("weight_grams", f.weight, 1<<31-1)
	}
	if f.stock != "" {
		pieces := r.whole("stock", f.stock, countMax)
		offers.stock = &pieces
	}
	r.checkAmount(f.price)
	if f.description != "" {
		r.product.Description = map[string]string{localeOfFlat: f.description}
	}
	if f.image != "" {
		r.product.Media = []media{{URL: f.image}}
	}
	r.product.Variants, r.offers = []variant{one}, []offer{offers}
	for _, name := range slices.Sorted(maps.Keys(f.attributes)) {
		r.attribute(name, f.attributes[name])
	}
	r.category = f.categories()
}

// categories are the paths of a row: "Kitchen > Mugs | Gifts" has two.
func (f *flat) categories() (paths []string) {
	for path := range strings.SplitSeq(f.category, "|") {
		if path = strings.TrimSpace(path); path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// whole reads a number without fraction or sign.
func (r *row) whole(column, text string, most int64) int32 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		r.refuse("bad_"+column, column+" must be a whole number from 0 to "+strconv.FormatInt(most, 10)+", not "+strconv.Quote(text))
		return 0
	}
	return int32(n)
}

// checkAmount refuses what cannot be a price before the product is sent; the
// shop judges the digits of its currency.
func (r *row) checkAmount(amount string) {
	whole, fraction, pointed := strings.Cut(amount, ".")
	if amount != "" && (!digits(whole) || pointed && !digits(fraction)) {
		r.refuse("bad_price", "a price is digits with at most one point, such as 12.34, not "+strconv.Quote(amount))
	}
}

func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c > unicode.MaxASCII || c < '0' || c > '9' })
}

// attribute sets one attribute. The column's name may end in ":number" or
// ":flag"; otherwise its values are texts.
func (r *row) attribute(name, value string) {
	var a attribute
	if number, ok := strings.CutSuffix(name, ":number"); ok {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			r.refuse("bad_attribute", strconv.Quote(name)+" must be a number, not "+strconv.Quote(value))
		}
		name, a.Number = number, &n
	} else if flag, ok := strings.CutSuffix(name, ":flag"); ok {
		yes, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			r.refuse("bad_attribute", strconv.Quote(name)+" must be true or false, not "+strconv.Quote(value))
		}
		name, a.Flag = flag, &yes
	} else {
		a.Text = &value
	}
	if r.product.Attributes == nil {
		r.product.Attributes = make(map[string]attribute)
	}
	r.product.Attributes[name] = a
}
