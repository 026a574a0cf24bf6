package quote_test

import (
	"fmt"

	"github.com/seed-21071466/souk/money"
	"github.com/seed-21071466/souk/services/pricing/quote"
)

func Example() {
	web := quote.Channel{ID: "web", Currency: "GBP", TaxInclusive: true, DefaultCountry: "GB"}
	q, _ := quote.Make(quote.Request{
		Channel: web, Country: "GB", Shipping: money.Of(395, "GBP"),
		Lines: []quote.Line{{SKU: "85123A", Quantity: 2}},
	}, []*quote.Price{{SKU: "85123A", Amount: money.Of(255, "GBP")}}, quote.Taxes{{Country: "GB", Class: quote.Standard}: 200_000})
	fmt.Println(q.Items, "+", q.Shipping, "=", q.Total, "of which tax", q.Tax)
	// Output: 5.10 GBP + 3.95 GBP = 9.05 GBP of which tax 1.51 GBP
}
