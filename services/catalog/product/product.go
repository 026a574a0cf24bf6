// Package product is the heart of the catalog: what a product, its variants
// and its categories may be, and what becomes of a product that is put again.
// It is pure; ids, time and what is already stored are given to it.
//
//	a merchant's product ──▶ Normalise ──▶ Put(current, next) ──▶ created | updated | unchanged
//	                            │
//	                            └──▶ refused: every field at fault, by its path
package product

import (
	"encoding/json"
	"slices"
	"time"
)

// The bounds of a product, as the contract states them.
const (
	LocalesMax       = 20
	TitleCharsMax    = 300
	DescriptionMax   = 10_000 // characters
	CategoriesMax    = 20
	OptionsMax       = 5
	OptionValuesMax  = 200
	OptionCharsMax   = 100
	VariantsMax      = 200
	WeightGramsMax   = 10_000_000 // ten tonnes
	AttributesMax    = 100
	AttributeNameMax = 100
	AttributeTextMax = 1_000
	MediaMax         = 50
	URLCharsMax      = 2_048
	AltCharsMax      = 500
	TaxClassMax      = 32
	MetadataMax      = 50
	MetadataKeyMax   = 64
	MetadataValueMax = 500
	HandleCharsMax   = 100
)

// The states of a product.
const (
	Active   = "active"   // shown and sold
	Draft    = "draft"    // seen by staff only
	Archived = "archived" // off the shelf; orders keep what they froze of it
)

// StandardTax is the tax class of a product that names none.
const StandardTax = "standard"

// Fallback is the locale of texts that lack the asked one.
const Fallback = "en"

// Product is what a merchant edits. Version and UpdatedAt belong to the room
// and are no part of the document.
type Product struct {
	ID          string               `json:"id"`
	Handle      string               `json:"handle"`
	Title       Texts                `json:"title"`
	Description Texts                `json:"description,omitempty"`
	Status      string               `json:"status"`
	CategoryIDs []string             `json:"category_ids,omitempty"`
	Options     []Option             `json:"options,omitempty"`
	Variants    []Variant            `json:"variants"`
	Attributes  map[string]Attribute `json:"attributes,omitempty"`
	Media       []Media              `json:"media,omitempty"`
	TaxClass    string               `json:"tax_class"`
	Metadata    map[string]string    `json:"metadata,omitempty"`
	Version     int32                `json:"-"`
	UpdatedAt   time.Time            `json:"-"`
}

// Option is one choice that tells variants apart.
type Option struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Variant is one thing with its own stock and price.
type Variant struct {
	SKU         string            `json:"sku"`
	Options     map[string]string `json:"options,omitempty"`
	WeightGrams int32             `json:"weight_grams,omitempty"`
	EAN         string            `json:"ean,omitempty"`
}

// Attribute is one typed value; exactly one field is set.
type Attribute struct {
	Text   *string  `json:"text,omitempty"`
	Number *float64 `json:"number,omitempty"`
	Flag   *bool    `json:"flag,omitempty"`
}

// Media is a picture or a document.
type Media struct {
	URL string `json:"url"`
	Alt string `json:"alt,omitempty"`
}

// Outcome is what became of a product that was put.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
)

// Put decides what becomes of next, which is normalised, where current is
// stored; nil when nothing is. A product that says the same as before keeps
// its version, so that an import heard twice changes nothing.
func Put(current *Product, next Product, now time.Time) (Product, Outcome) {
	if current == nil {
		next.Version, next.UpdatedAt = 1, now
		return next, Created
	}
	if slices.Equal(next.Document(), current.Document()) {
		return *current, Unchanged
	}
	next.Version, next.UpdatedAt = current.Version+1, now
	return next, Updated
}

// Document is the product as it is stored: JSON with its keys in order, so
// that equal products have equal documents.
func (p Product) Document() []byte {
	doc, err := json.Marshal(p)
	if err != nil {
		panic("product: a normalised product has no JSON: " + err.Error()) // only NaN or Inf, which Normalise refuses
	}
	return doc
}

// Read is the product of a stored document.
func Read(doc []byte, version int32, updatedAt time.Time) (Product, error) {
	p := Product{Version: version, UpdatedAt: updatedAt}
	err := json.Unmarshal(doc, &p)
	return p, err
}

// SKUs are the product's variants by name, in its order.
func (p Product) SKUs() []string {
	skus := make([]string, len(p.Variants))
	for i, v := range p.Variants {
		skus[i] = v.SKU
	}
	return skus
}

// VariantTitle is what a cart calls a variant: the fallback title and, in
// brackets, its choices in the product's order.
func (p Product) VariantTitle(v Variant) string {
	title := p.Title.In(Fallback)
	separator := " ("
	for _, option := range p.Options {
		title += separator + v.Options[option.Name]
		separator = ", "
	}
	if len(p.Options) > 0 {
		title += ")"
	}
	return title
}
