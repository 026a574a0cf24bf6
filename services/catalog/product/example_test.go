package product_test

import (
	"fmt"
	"time"

	"github.com/seed-21071466/souk/services/catalog/product"
)

func Example() {
	mug, err := product.Normalise(product.Product{
		ID: "prd_1", Title: product.Texts{"en": " Café Mug "}, Variants: []product.Variant{{SKU: "MUG-1"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, outcome := product.Put(nil, mug.Named(nil), time.Now())
	fmt.Println(outcome, stored.Handle, stored.Version)

	_, outcome = product.Put(&stored, mug.Named(&stored), time.Now())
	fmt.Println(outcome)

	_, err = product.Normalise(product.Product{ID: "prd_2", Title: product.Texts{"en": "Jug"}})
	fmt.Println(err)
	// Output:
	// created cafe-mug 1
	// unchanged
	// invalid_request: variants: a product has at least one variant
}
