package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// open finds out how a source is written and reads its header, if it has one.
func open(in *window, name string, format Format) (rows, []string, error) {
	if err := in.begin(); err != nil {
		return nil, nil, err
	}
	if format == "" {
		format = formatOf(name, in.bytes())
		if n, _, err := in.lineEnd(); format == CSV && err == nil && retail.IsHeader(bytes.TrimSpace(in.bytes()[:n])) {
			format = Invoices
		}
	}
	switch format {
	case Invoices:
		return &invoiceRows{}, nil, nil
	case JSONLines:
		return &jsonRows{in}, nil, nil
	case CSV:
		return openCSV(in)
	}
	return nil, nil, fmt.Errorf("the format %q is unknown: it is csv, jsonl or invoices", format)
}

// formatOf goes by the name's ending, else by the first byte.
func formatOf(name string, begins []byte) Format {
	switch strings.ToLower(filepath.Ext(strings.TrimSuffix(name, ".zst"))) {
	case ".jsonl", ".ndjson", ".json":
		return JSONLines
	case ".csv", ".tsv":
		return CSV
	}
	if bytes.HasPrefix(bytes.TrimSpace(begins), []byte("{")) {
		return JSONLines
	}
	return CSV
}

// jsonRows reads an object a line.
type jsonRows struct{ in *window }

// next is the next line that is not blank.
func (j *jsonRows) next() (row, error) {
	for {
		n, tooLong, err := j.in.lineEnd()
		if err != nil {
			return row{}, err
		}
		if n == 0 {
			return row{}, io.EOF
		}
		text := j.in.bytes()[:n]
		r := row{line: j.in.line, size: n, raw: clip(text)}
		if tooLong {
			r.refuse("row_too_long", fmt.Sprintf("the line is longer than %d bytes", RecordMax))
			return r, j.in.skipLine()
		}
		if len(bytes.TrimSpace(text)) > 0 {
			r.fillJSON(text)
		}
		if j.in.take(n); len(bytes.TrimSpace(text)) > 0 {
			return r, nil
		}
	}
}

func (r *row) fillJSON(text []byte) {
	if !utf8.Valid(text) {
		r.refuse("not_utf8", "the line is not valid UTF-8")
		return
	}
	var members map[string]json.RawMessage
	if err := strict(text, &members); err != nil {
		r.refuse("bad_json", "the line is not one JSON object: "+err.Error())
		return
	}
	if _, ok := members["variants"]; ok {
		r.fillDocument(text)
		return
	}
	r.fillFlat(members)
}

// strict decodes one value and refuses what follows it, and members that
// mean nothing.
func strict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

// offered is a product document whose variants also say price and stock.
type offered struct {
	document
	Variants []offeredVariant `json:"variants"`
	Category text             `json:"category"` // paths, as in CSV

	// What the API answers beside it; the shop counts for itself.
	Version   json.RawMessage `json:"version"`
	UpdatedAt json.RawMessage `json:"updated_at"`
}

type offeredVariant struct {
	variant
	Price    price  `json:"price"`
	Currency string `json:"currency"`
	Stock    *int32 `json:"stock"`
}

func (r *row) fillDocument(text []byte) {
	var doc offered
	if err := strict(text, &doc); err != nil {
		r.refuse("bad_document", "this is no product: "+err.Error())
		return
	}
	r.product = doc.document
	for _, v := range doc.Variants {
		r.product.Variants = append(r.product.Variants, v.variant)
		o := offer{sku: v.SKU, amount: v.Price.Amount, currency: v.Price.Currency, stock: v.Stock}
		if o.currency == "" {
			o.currency = strings.ToUpper(v.Currency)
		}
		if v.Stock != nil && (*v.Stock < 0 || *v.Stock > countMax) {
			r.refuse("bad_stock", fmt.Sprintf("the stock of %s must be 0 to %d", v.SKU, countMax))
		}
		r.checkAmount(o.amount)
		r.offers = append(r.offers, o)
	}
	switch {
	case len(doc.Variants) == 0:
		r.refuse("sku_required", "the product has no variants")
	case r.product.ID == "":
		r.product.ID = doc.Variants[0].SKU
	}
	f := flat{category: string(doc.Category)}
	r.category = f.categories()
}

// price is an amount as people write it: "12.34", 12.34, or an object with the
// currency. A number is taken with the digits that stand in the file.
type price struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// UnmarshalJSON reads each of the three forms.
func (p *price) UnmarshalJSON(value []byte) error {
	if len(value) > 0 && value[0] == '{' {
		type plain price
		return strict(value, (*plain)(p))
	}
	var amount text
	err := amount.UnmarshalJSON(value)
	p.Amount = string(amount)
	return err
}

// text is a text, or a number or truth value with the letters that stand in the file.
type text string

// UnmarshalJSON reads what is no list and no object; null is empty.
func (t *text) UnmarshalJSON(value []byte) error {
	switch {
	case len(value) == 0 || string(value) == "null":
		*t = ""
	case value[0] == '"':
		return json.Unmarshal(value, (*string)(t))
	case value[0] == '{' || value[0] == '[':
		return errors.New("a text or a number is expected, not " + string(value[:1]) + "…")
	default:
		*t = text(value)
	}
	return nil
}

// fillFlat reads an object with the columns of CSV; attributes also as an object.
func (r *row) fillFlat(members map[string]json.RawMessage) {
	f := flat{attributes: map[string]string{}}
	known := make(map[string]bool, len(columns))
	for _, column := range columns {
		known[column] = true
	}
	for name, value := range members {
		attribute, isAttribute := strings.CutPrefix(name, attributeColumn)
		switch {
		case name == "attributes":
			if err := strict(value, &r.product.Attributes); err != nil {
				r.refuse("bad_attribute", "attributes are an object of {\"text\": …}, {\"number\": …} or {\"flag\": …}: "+err.Error())
			}
			continue
		case !known[name] && !isAttribute:
			r.refuse("unknown_member", fmt.Sprintf("nobody reads %q; the members are those of CSV's columns, or a product document has variants", name))
			continue
		}
		var plain text
		if err := plain.UnmarshalJSON(value); err != nil {
			r.refuse("bad_value", name+": "+err.Error())
		}
		if isAttribute && plain != "" {
			f.attributes[attribute] = string(plain)
		}
		f.set(name, strings.TrimSpace(string(plain)))
	}
	f.fill(r)
}
