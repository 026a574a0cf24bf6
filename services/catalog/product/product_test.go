package product_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/catalog/product"
)

func mug() product.Product {
	return product.Product{
		ID: "prd_mug", Title: product.Texts{"en": "Mug", "fr": "Tasse"}, Status: product.Active,
		Options:  []product.Option{{Name: "Size", Values: []string{"S", "L"}}},
		Variants: []product.Variant{{SKU: "MUG-S", Options: map[string]string{"Size": "S"}}, {SKU: "MUG-L", Options: map[string]string{"Size": "L"}}},
	}
}

func TestWhatAProductMayNotBe(t *testing.T) {
	number := math.Inf(1)
	for _, row := range []struct {
		name   string
		spoil  func(*product.Product)
		field  string
		reason string
	}{
		{"an id with a slash", func(p *product.Product) { p.ID = "a/b" }, "id", "not_an_id"},
		{"no title", func(p *product.Product) { p.Title = nil }, "title", "required"},
		{"a title of spaces is no title", func(p *product.Product) { p.Title = product.Texts{"en": "  "} }, "title", "required"},
		{"a title in no language", func(p *product.Product) { p.Title["english!"] = "Mug" }, "title.english!", "not_a_locale"},
		{"a title of 301 characters", func(p *product.Product) { p.Title["en"] = strings.Repeat("ü", 301) }, "title.en", "too_long"},
		{"a title that is not UTF-8", func(p *product.Product) { p.Title["en"] = "Mug\xff" }, "title.en", "not_utf8"},
		{"a bell in the title", func(p *product.Product) { p.Title["en"] = "Mug\a" }, "title.en", "control_character"},
		{"a handle with capitals", func(p *product.Product) { p.Handle = "Mug" }, "handle", "not_a_handle"},
		{"an unknown status", func(p *product.Product) { p.Status = "sold" }, "status", "unknown_status"},
		{"no variants", func(p *product.Product) { p.Variants = nil }, "variants", "required"},
		{"a SKU twice", func(p *product.Product) { p.Variants[1].SKU = "MUG-S" }, "variants[1].sku", "repeated"},
		{"an empty SKU", func(p *product.Product) { p.Variants[1].SKU = "" }, "variants[1].sku", "not_a_sku"},
		{"variants that nothing tells apart", func(p *product.Product) { p.Variants[1].Options = p.Variants[0].Options }, "variants[1].options", "same_choice"},
		{"a value that the option does not offer", func(p *product.Product) { p.Variants[0].Options = map[string]string{"Size": "XL"} }, "variants[0].options.Size", "unknown_value"},
		{"an option that the product does not have", func(p *product.Product) {
			p.Variants[0].Options = map[string]string{"Size": "S", "Hue": "red"}
		}, "variants[0].options.Hue", "unknown_option"},
		{"a negative weight", func(p *product.Product) { p.Variants[0].WeightGrams = -1 }, "variants[0].weight_grams", "out_of_range"},
		{"an EAN with a wrong check digit", func(p *product.Product) { p.Variants[0].EAN = "4006381333932" }, "variants[0].ean", "not_an_ean"},
		{"a picture that is a script", func(p *product.Product) { p.Media = []product.Media{{URL: "javascript:alert(1)"}} }, "media[0].url", "not_a_url"},
		{"a picture of another host without a scheme", func(p *product.Product) { p.Media = []product.Media{{URL: "//evil.example"}} }, "media[0].url", "not_a_url"},
		{"an attribute without a value", func(p *product.Product) { p.Attributes = map[string]product.Attribute{"colour": {}} }, "attributes.colour", "required"},
		{"an attribute that is infinite", func(p *product.Product) {
			p.Attributes = map[string]product.Attribute{"width": {Number: &number}}
		}, "attributes.width.number", "not_a_number"},
		{"one category 21 times", func(p *product.Product) { p.CategoryIDs = slices.Repeat([]string{"a"}, 21) }, "category_ids", "too_many"},
		{"21 categories", func(p *product.Product) { p.CategoryIDs = strings.Split("abcdefghijklmnopqrstu", "") }, "category_ids", "too_many"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := mug()
			row.spoil(&p)
			_, err := product.Normalise(p)
			refused := problem.Of(err)
			if refused == nil || refused.Violations[0].Field != row.field || refused.Violations[0].Code != row.reason {
				t.Fatalf("refused with %+v, want %s on %s", err, row.reason, row.field)
			}
			if !strings.Contains(refused.Message, row.field) {
				t.Errorf("the message %q does not name the field", refused.Message)
			}
		})
	}
}

func TestEveryFaultIsToldAtOnceUpToABound(t *testing.T) {
	p := mug()
	p.ID, p.Status, p.Title = "", "sold", nil
	_, err := product.Normalise(p)
	if got := len(problem.Of(err).Violations); got != 3 {
		t.Errorf("%d faults told, want 3", got)
	}
	p.CategoryIDs = strings.Split(strings.Repeat("/ ", 100), " ")
	p.Metadata = map[string]string{}
	for i := range 100 {
		p.Metadata[strings.Repeat("k", 70+i)] = "v"
	}
	_, err = product.Normalise(p)
	if got := len(problem.Of(err).Violations); got != 20 {
		t.Errorf("%d faults told, want the bound 20", got)
	}
}

func TestHandleFor(t *testing.T) {
	for _, row := range []struct{ name, title, want string }{
		{"accents are dropped", "Crème Brûlée Set", "creme-brulee-set"},
		{"ligatures and sharp s are written out", "Œuvre Straße", "oeuvre-strasse"},
		{"combining accents are dropped", "Cafe\u0301 Noir", "cafe-noir"},
		{"what is no letter joins words once", "  T-Light -- Holder!! (Red)", "t-light-holder-red"},
		{"an apostrophe joins nothing", "Lady's Watch", "ladys-watch"},
		{"a title in another script gives the id's form", "茶碗", "prd-42-x"},
		{"a long title is cut", strings.Repeat("word ", 40), "word-word-word-word-word-word-word-word-word-word-word-word"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := product.HandleFor(product.Texts{"en": row.title}, "prd_42.X"); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

func TestTextsFallBack(t *testing.T) {
	texts := product.Texts{"en": "Mug", "pt": "Caneca", "fr-CA": "Tasse"}
	for locale, want := range map[string]string{"pt-BR": "Caneca", "pt": "Caneca", "fr-CA": "Tasse", "fr": "Mug", "": "Mug", "ja-JP": "Mug"} {
		if got := texts.In(locale); got != want {
			t.Errorf("a reader of %q is shown %q, want %q", locale, got, want)
		}
	}
	if got := (product.Texts{"nl": "Mok", "de": "Becher"}).In("en"); got != "Becher" {
		t.Errorf("without the fallback the first locale by name is shown, not %q", got)
	}
}

func TestPutHeardTwiceChangesNothing(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	next, err := product.Normalise(mug())
	if err != nil {
		t.Fatal(err)
	}
	first, outcome := product.Put(nil, next.Named(nil), at)
	if outcome != product.Created || first.Version != 1 || first.Handle != "mug" {
		t.Fatalf("%s version %d handle %q", outcome, first.Version, first.Handle)
	}
	again, outcome := product.Put(&first, next.Named(&first), at.Add(time.Hour))
	if outcome != product.Unchanged || again.Version != 1 || !again.UpdatedAt.Equal(at) {
		t.Fatalf("heard again it is %s, version %d at %v", outcome, again.Version, again.UpdatedAt)
	}
	next.Title = product.Texts{"en": "Big Mug"}
	renamed, outcome := product.Put(&first, next.Named(&first), at.Add(time.Hour))
	if outcome != product.Updated || renamed.Version != 2 || renamed.Handle != "mug" {
		t.Fatalf("a new title makes it %s, version %d, handle %q", outcome, renamed.Version, renamed.Handle)
	}
}

func TestADocumentIsReadBackAndNormalAlready(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		p, err := product.Normalise(p)
		if err != nil {
			return
		}
		again, err := product.Normalise(p)
		if err != nil || string(again.Document()) != string(p.Document()) {
			t.Fatalf("normalised again it is %s, %v; first %s", again.Document(), err, p.Document())
		}
		back, err := product.Read(p.Document(), 7, time.Time{})
		if err != nil || string(back.Document()) != string(p.Document()) {
			t.Fatalf("read back it is %s, %v; written %s", back.Document(), err, p.Document())
		}
	})
}

func drawn(t *rapid.T) product.Product {
	text := rapid.StringN(0, 20, 60)
	some, flag := rapid.Float64().Draw(t, "number"), rapid.Bool().Draw(t, "flag")
	return product.Product{
		ID: "p", Title: product.Texts{"en": text.Draw(t, "title"), "EN": text.Draw(t, "other title")},
		Description: product.Texts{rapid.SampledFrom([]string{"en", "de-AT", "x"}).Draw(t, "locale"): text.Draw(t, "description")},
		Handle:      rapid.SampledFrom([]string{"", "a-b", " a ", "A"}).Draw(t, "handle"),
		Variants:    []product.Variant{{SKU: text.Draw(t, "sku"), WeightGrams: rapid.Int32().Draw(t, "weight")}},
		Attributes:  map[string]product.Attribute{"a": {Number: &some}, text.Draw(t, "name"): {Flag: &flag}},
		Metadata:    map[string]string{"k": text.Draw(t, "metadata")},
	}
}

func TestCategoriesNestWithoutCyclesAndNotTooDeep(t *testing.T) {
	if _, err := (product.Category{ID: "b"}).Placed("a/b/c", 0); !refusedFor(err, "category_cycle") {
		t.Errorf("a category below itself: %v", err)
	}
	if _, err := (product.Category{ID: "k"}).Placed("a/b/c/d/e/f/g/h/i/j", 0); !refusedFor(err, "too_deep") {
		t.Errorf("the eleventh level: %v", err)
	}
	if _, err := (product.Category{ID: "k"}).Placed("a/b/c/d/e", 5); !refusedFor(err, "too_deep") {
		t.Errorf("a tree that becomes too deep: %v", err)
	}
	if k, err := (product.Category{ID: "k"}).Placed("a/b", 0); err != nil || k.Path != "a/b/k" {
		t.Errorf("%q, %v", k.Path, err)
	}
}

func refusedFor(err error, code string) bool {
	refused := problem.Of(err)
	return refused != nil && refused.Violations[0].Code == code
}

func TestEANs(t *testing.T) {
	for ean, want := range map[string]bool{
		"4006381333931": true, "0882780756328": true, "96385074": true, "036000291452": true, "10036000291459": true,
		"4006381333930": false, "400638133393": false, "400638133393X": false, "": false,
	} {
		if got := product.IsEAN(ean); got != want {
			t.Errorf("%q: %v, want %v", ean, got, want)
		}
	}
}

func FuzzHandle(f *testing.F) {
	f.Add("Crème Brûlée", "id")
	f.Add("ſ’İ\u0130", "x")
	f.Fuzz(func(t *testing.T, title, id string) {
		p := product.Product{ID: "p", Title: product.Texts{"en": title}, Variants: []product.Variant{{SKU: "s"}}}
		p.Handle = product.HandleSecond(product.HandleFor(p.Title, "p"), "p")
		if _, err := product.Normalise(p); err != nil {
			for _, v := range problem.Of(err).Violations {
				if v.Field == "handle" {
					t.Fatalf("the handle %q made from %q is refused", p.Handle, title)
				}
			}
		}
	})
}
