// Package cart is the heart of carts: what a shopper means to buy. It is pure and
// knows no prices: those are asked anew for every answer.
package cart

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
)

// Bounds of a cart.
const (
	LinesMax         = 100    // lines in one cart
	QuantityMax      = 10_000 // pieces of one line
	MetadataMax      = 50     // keys of metadata
	MetadataKeyMax   = 64     // characters of a key
	MetadataValueMax = 500    // characters of a value
)

// Line is pieces of one SKU, with what the catalog said of it when it was put in.
type Line struct {
	SKU         string `json:"sku"`
	Quantity    int32  `json:"quantity"`
	ProductID   string `json:"product_id"`
	Title       string `json:"title"`
	TaxClass    string `json:"tax_class"`
	WeightGrams int32  `json:"weight_grams"`
}

// Contact is who receives the order and where, by id; the country is for tax and shipping.
type Contact struct {
	SubjectID string `json:"subject_id,omitempty"`
	AddressID string `json:"address_id,omitempty"`
	Country   string `json:"country,omitempty"`
}

// Cart is a cart as it is stored.
type Cart struct {
	ID          string            `json:"id"`
	Version     int32             `json:"version"`
	Channel     string            `json:"channel"`
	Currency    string            `json:"currency"`
	Lines       []Line            `json:"lines"`
	Contact     Contact           `json:"contact"`
	ShippingID  string            `json:"shipping_id,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	LastOrderID string            `json:"last_order_id,omitempty"`
	LastOrderAt int64             `json:"last_order_at,omitempty"` // its place in the record of orders
	ExpiresAt   time.Time         `json:"expires_at"`
}

// Put sets how many pieces of a SKU the cart has; 0 removes the line.
func (c *Cart) Put(line Line) error {
	if err := CheckLine(line.SKU, line.Quantity); err != nil {
		return err
	}
	i := c.find(line.SKU)
	switch {
	case line.Quantity == 0 && i >= 0:
		c.Lines = slices.Delete(c.Lines, i, i+1)
	case line.Quantity == 0:
	case i >= 0:
		c.Lines[i] = line
	case len(c.Lines) == LinesMax:
		return problem.Newf(problem.Unprocessable, "cart_full", "a cart has at most %d lines", LinesMax).With("maximum", strconv.Itoa(LinesMax))
	default:
		c.Lines = append(c.Lines, line)
	}
	return nil
}

// CheckLine refuses a malformed SKU and a quantity out of bounds.
func CheckLine(sku string, quantity int32) error {
	if !id.Valid(sku) {
		return problem.Field("sku", "malformed", "1 to 64 letters, digits, “_”, “-” and “.”")
	}
	if quantity < 0 || quantity > QuantityMax {
		return problem.Field("quantity", "out_of_range", "0 to "+strconv.Itoa(QuantityMax)+" pieces; 0 removes the line")
	}
	return nil
}

func (c *Cart) find(sku string) int {
	return slices.IndexFunc(c.Lines, func(l Line) bool { return l.SKU == sku })
}

// Piece is what an order took of one SKU.
type Piece struct {
	SKU      string
	Quantity int32
}

// Ordered takes what an order bought out of the cart, once: heard again it is false. So
// it is for an order whose place in the record of orders is before that of the last one,
// so that a store which forgot how much it has heard may hear it all again. Pieces that
// were added meanwhile stay. The chosen shipping is forgotten: it was for that parcel.
func (c *Cart) Ordered(orderID string, place int64, bought []Piece) bool {
	if c.LastOrderID == orderID || place <= c.LastOrderAt {
		return false
	}
	for _, b := range bought {
		i := c.find(b.SKU)
		if i < 0 {
			continue
		}
		if c.Lines[i].Quantity -= b.Quantity; c.Lines[i].Quantity <= 0 {
			c.Lines = slices.Delete(c.Lines, i, i+1)
		}
	}
	c.LastOrderID, c.LastOrderAt, c.ShippingID = orderID, place, ""
	return true
}

// WeightGrams is what the parcel weighs.
func (c *Cart) WeightGrams() (grams int64) {
	for _, l := range c.Lines {
		grams += int64(l.WeightGrams) * int64(l.Quantity)
	}
	return grams
}

// Missing names what a checkout still needs from the shopper.
func (c *Cart) Missing() (missing []string) {
	if len(c.Lines) == 0 {
		missing = append(missing, "lines")
	}
	if c.Contact.AddressID == "" {
		missing = append(missing, "address")
	}
	if c.ShippingID == "" {
		missing = append(missing, "shipping")
	}
	return missing
}

// CheckMetadata refuses notes beyond their bounds.
func CheckMetadata(notes map[string]string) error {
	if len(notes) > MetadataMax {
		return problem.Field("metadata", "too_many", "at most "+strconv.Itoa(MetadataMax)+" keys")
	}
	for _, key := range slices.Sorted(maps.Keys(notes)) {
		if key == "" || len(key) > MetadataKeyMax || len(notes[key]) > MetadataValueMax {
			return problem.Field("metadata."+key[:min(len(key), MetadataKeyMax)], "too_long",
				"keys of 1 to "+strconv.Itoa(MetadataKeyMax)+" and values of at most "+strconv.Itoa(MetadataValueMax)+" characters")
		}
	}
	return nil
}
