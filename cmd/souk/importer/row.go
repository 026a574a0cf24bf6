package importer

import (
	"strings"
	"unicode/utf8"
)

// rawMax bounds the raw text of a row that is kept for its quarantine.
const rawMax = 4 << 10

// row is one row of the file on its way to the shop.
type row struct {
	line     int
	lines    int    // of the file that it stands for, when they are more than one
	size     int    // bytes in the file
	raw      string // at most rawMax of them
	product  document
	offers   []offer
	category []string // paths "Kitchen > Mugs", to become ids
	fault    *fault   // why it is not sent, or not sent on
}

// fault is why a row is quarantined.
type fault struct{ code, reason string }

// refuse keeps the first fault.
func (r *row) refuse(code, reason string) {
	if r.fault == nil {
		r.fault = &fault{code, reason}
	}
}

// offer is what one variant costs and how much of it there is.
type offer struct {
	sku      string
	amount   string // "" when the row says no price
	currency string // "" for the channel's own
	stock    *int32 // nil when the row says none
}

// document is a product as the API takes it.
type document struct {
	ID          string               `json:"id"`
	Handle      string               `json:"handle,omitempty"`
	Title       map[string]string    `json:"title,omitempty"`
	Description map[string]string    `json:"description,omitempty"`
	Status      string               `json:"status,omitempty"`
	CategoryIDs []string             `json:"category_ids,omitempty"`
	Options     []option             `json:"options,omitempty"`
	Variants    []variant            `json:"variants,omitempty"`
	Attributes  map[string]attribute `json:"attributes,omitempty"`
	Media       []media              `json:"media,omitempty"`
	TaxClass    string               `json:"tax_class,omitempty"`
	Metadata    map[string]string    `json:"metadata,omitempty"`
}

type option struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

type variant struct {
	SKU         string            `json:"sku"`
	Options     map[string]string `json:"options,omitempty"`
	WeightGrams int32             `json:"weight_grams,omitempty"`
	EAN         string            `json:"ean,omitempty"`
}

type attribute struct {
	Text   *string  `json:"text,omitempty"`
	Number *float64 `json:"number,omitempty"`
	Flag   *bool    `json:"flag,omitempty"`
}

type media struct {
	URL string `json:"url"`
	Alt string `json:"alt,omitempty"`
}

// clip is the beginning of a row's text, without its line end.
func clip(raw []byte) string {
	raw = raw[:min(len(raw), rawMax)]
	if cut := len(raw) - 1; len(raw) == rawMax && !utf8.RuneStart(raw[cut]) {
		for cut > 0 && !utf8.RuneStart(raw[cut]) {
			cut--
		}
		raw = raw[:cut]
	}
	return strings.TrimRight(string(raw), "\r\n")
}
