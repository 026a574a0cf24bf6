package money_test

import (
	"fmt"

	"github.com/seed-21071466/souk/money"
)

func Example() {
	price, _ := money.Parse("12.34", "GBP")
	line, _ := price.Mul(3)
	vat, _ := money.ParseRate("20%")
	net, tax, _ := vat.Inclusive(line)
	fmt.Println(line, "=", net, "+", tax)

	shares, _ := money.Of(1000, "GBP").Split(3)
	fmt.Println(shares)
	// Output:
	// 37.02 GBP = 30.85 GBP + 6.17 GBP
	// [3.34 GBP 3.33 GBP 3.33 GBP]
}
