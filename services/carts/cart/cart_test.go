package cart_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/carts/cart"
)

func TestPuttingLines(t *testing.T) {
	c := cart.Cart{}
	for _, step := range []struct {
		given string
		line  cart.Line
		want  string
	}{
		{"a first line", cart.Line{SKU: "A", Quantity: 2}, "A:2"},
		{"a second one stands behind it", cart.Line{SKU: "B", Quantity: 1}, "A:2 B:1"},
		{"the same SKU again says how many there are now", cart.Line{SKU: "A", Quantity: 5}, "A:5 B:1"},
		{"none removes the line", cart.Line{SKU: "A", Quantity: 0}, "B:1"},
		{"none of what is not there is fine", cart.Line{SKU: "A", Quantity: 0}, "B:1"},
	} {
		if err := c.Put(step.line); err != nil || told(&c) != step.want {
			t.Errorf("%s: %s, %v, want %s", step.given, told(&c), err, step.want)
		}
	}
}

func told(c *cart.Cart) string {
	var lines []string
	for _, l := range c.Lines {
		lines = append(lines, fmt.Sprintf("%s:%d", l.SKU, l.Quantity))
	}
	return strings.Join(lines, " ")
}

func TestBoundsOfACart(t *testing.T) {
	full := cart.Cart{}
	for i := range cart.LinesMax {
		if err := full.Put(cart.Line{SKU: fmt.Sprintf("SKU-%d", i), Quantity: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		given string
		line  cart.Line
		code  string
		field string
	}{
		{"one line too many", cart.Line{SKU: "more", Quantity: 1}, "cart_full", ""},
		{"a SKU with a space", cart.Line{SKU: "a b", Quantity: 1}, "invalid_request", "sku"},
		{"no SKU", cart.Line{Quantity: 1}, "invalid_request", "sku"},
		{"a SKU without end", cart.Line{SKU: strings.Repeat("x", 65), Quantity: 1}, "invalid_request", "sku"},
		{"less than nothing", cart.Line{SKU: "A", Quantity: -1}, "invalid_request", "quantity"},
		{"more than anybody buys", cart.Line{SKU: "A", Quantity: cart.QuantityMax + 1}, "invalid_request", "quantity"},
	} {
		before := told(&full)
		p := problem.Of(full.Put(c.line))
		if p == nil || p.Code != c.code || c.field != "" && p.Violations[0].Field != c.field {
			t.Errorf("%s: %v, want %s naming %q", c.given, p, c.code, c.field)
		}
		if told(&full) != before {
			t.Errorf("%s has changed the cart", c.given)
		}
	}
	if err := full.Put(cart.Line{SKU: "SKU-7", Quantity: 2}); err != nil {
		t.Errorf("a line of a full cart cannot be changed: %v", err)
	}
}

func TestMetadataIsBounded(t *testing.T) {
	many := map[string]string{}
	for i := range cart.MetadataMax + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for _, c := range []struct {
		given string
		notes map[string]string
		field string
	}{
		{"none", nil, ""},
		{"a note", map[string]string{"gift": "yes"}, ""},
		{"too many", many, "metadata"},
		{"no key", map[string]string{"": "x"}, "metadata."},
		{"a key without end", map[string]string{strings.Repeat("k", 65): "x"}, "metadata." + strings.Repeat("k", 64)},
		{"a value without end", map[string]string{"gift": strings.Repeat("v", 501)}, "metadata.gift"},
	} {
		p := problem.Of(cart.CheckMetadata(c.notes))
		if (p == nil) != (c.field == "") || p != nil && p.Violations[0].Field != c.field {
			t.Errorf("%s: %+v, want %q named", c.given, p, c.field)
		}
	}
}

func TestWhatIsMissing(t *testing.T) {
	line, contact := []cart.Line{{SKU: "A", Quantity: 1}}, cart.Contact{AddressID: "adr_1"}
	for _, c := range []struct {
		cart cart.Cart
		want []string
	}{
		{cart.Cart{}, []string{"lines", "address", "shipping"}},
		{cart.Cart{Lines: line}, []string{"address", "shipping"}},
		{cart.Cart{Lines: line, Contact: contact}, []string{"shipping"}},
		{cart.Cart{Lines: line, Contact: contact, ShippingID: "standard"}, nil},
	} {
		if diff := cmp.Diff(c.want, c.cart.Missing()); diff != "" {
			t.Error(diff)
		}
	}
}

// lines are the SKUs of a cart with their pieces.
func drawn(t *rapid.T, name string) []cart.Piece {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) cart.Piece {
		return cart.Piece{SKU: rapid.SampledFrom([]string{"A", "B", "C", "D", "E"}).Draw(t, "sku"), Quantity: rapid.Int32Range(1, cart.QuantityMax).Draw(t, "quantity")}
	}), 0, 5, func(p cart.Piece) string { return p.SKU }).Draw(t, name)
}

// Whatever is in the cart and whatever was bought: what is left is what was there less what was bought, never less
// than nothing; hearing it again changes nothing.
func TestOrderedTakesOnceAndNeverTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cart.Cart{ShippingID: "standard"}
		has := map[string]int32{}
		for _, p := range drawn(t, "cart") {
			has[p.SKU] = p.Quantity
			if err := c.Put(cart.Line{SKU: p.SKU, Quantity: p.Quantity}); err != nil {
				t.Fatal(err)
			}
		}
		bought := drawn(t, "bought")
		if !c.Ordered("ord_1", 7, bought) || c.LastOrderID != "ord_1" || c.ShippingID != "" {
			t.Fatalf("the order was not taken in: %+v", c)
		}
		for _, b := range bought {
			has[b.SKU] -= b.Quantity
		}
		for _, l := range c.Lines {
			if l.Quantity < 1 || l.Quantity != has[l.SKU] {
				t.Fatalf("%d of %s are left, want %d", l.Quantity, l.SKU, has[l.SKU])
			}
			delete(has, l.SKU)
		}
		for sku, left := range has {
			if left > 0 {
				t.Fatalf("%d of %s are lost", left, sku)
			}
		}
		once := slices.Clone(c.Lines)
		if c.Ordered("ord_1", 7, bought) || !slices.Equal(once, c.Lines) {
			t.Fatal("hearing it again has changed the cart")
		}
		if c.Ordered("ord_0", 6, bought) || c.LastOrderID != "ord_1" || !slices.Equal(once, c.Lines) {
			t.Fatal("hearing an earlier order late has changed the cart")
		}
	})
}

func TestTheWeightOfAFullCartDoesNotOverflow(t *testing.T) {
	c := cart.Cart{Lines: []cart.Line{{WeightGrams: 1 << 30, Quantity: cart.QuantityMax}, {WeightGrams: 1 << 30, Quantity: cart.QuantityMax}}}
	if got := c.WeightGrams(); got != 2*cart.QuantityMax<<30 {
		t.Errorf("it weighs %d grams", got)
	}
}
