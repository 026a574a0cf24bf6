package main

import (
	"math/big"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	stockNumber = regexp.MustCompile(`^[A-Z0-9]*[0-9]{4}[A-Z0-9]*$`)
	serviceWord = regexp.MustCompile(`^(POSTAGE|CARRIAGE|DELIVERY|SHIPPING|FREIGHT|CHARGES?|FEES?|COMMISSION|DISCOUNT|VOUCHERS?|DEBT|DONATION)$`)
)

// goods is what the file says of a stock code.
type goods struct {
	sold   bool           // at a price
	titles map[string]int // of priced sales
	gross  int64          // pieces on plain invoices
}

// judge says of every row whether it is good, as far as rows tell by themselves.
func (f *file) judge(digits int) {
	all := map[string]*goods{}
	for _, b := range f.bills {
		for _, r := range b.rows {
			if all[r.code] == nil {
				all[r.code] = &goods{titles: map[string]int{}}
			}
			if b.canceled || r.quantity <= 0 {
				continue
			}
			g := all[r.code]
			g.gross += r.quantity
			if r.price.Sign() > 0 && minor(r.price, digits) {
				g.sold = true
				g.titles[titleOf(r.title)]++
			}
		}
	}
	why := map[string]string{}
	for code, g := range all {
		if why[code] = g.why(code); why[code] == "" {
			f.products++
			f.received += g.gross * 98 / 100
		}
	}
	for _, b := range f.bills {
		for _, r := range b.rows {
			if r.reason = why[r.code]; r.reason == "" {
				r.reason = r.why(b, digits)
			}
		}
	}
}

// why says why a stock code is no product.
func (g *goods) why(code string) string {
	delete(g.titles, "")
	best := ""
	for title, n := range g.titles {
		if n > g.titles[best] || n == g.titles[best] && title < best {
			best = title
		}
	}
	switch {
	case !stockNumber.MatchString(code) || len(code) > 64:
		return "no_stock_number"
	case !g.sold:
		return "never_sold"
	case best == "":
		return "no_title"
	case service(best):
		return "service"
	}
	return ""
}

// why says why a row of a product is not good.
func (r *row) why(b *bill, digits int) string {
	switch {
	case r.quantity == 0:
		return "no_pieces"
	case r.quantity < 0 && !b.canceled:
		return "negative_quantity"
	case r.quantity > 0 && b.canceled:
		return "positive_quantity"
	case r.quantity > 1_000_000 || r.quantity < -1_000_000:
		return "too_many_pieces"
	case r.price.Sign() < 0:
		return "negative_price"
	case !minor(r.price, digits):
		return "excess_digits"
	case b.canceled && b.customer == "":
		return "no_customer"
	}
	return ""
}

// minor says that an amount is whole in the currency's minor units.
func minor(amount *big.Rat, digits int) bool {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	return new(big.Rat).Mul(amount, new(big.Rat).SetInt(scale)).IsInt()
}

// titleOf is a description as a title, "" when it is none.
func titleOf(description string) string {
	title := strings.Join(strings.Fields(description), " ")
	letters, capitals := 0, 0
	for i, c := range title {
		if unicode.IsLetter(c) {
			letters++
		}
		if i > 0 && unicode.IsUpper(c) {
			capitals++
		}
	}
	if letters < 3 || capitals < 1 || utf8.RuneCountInString(title) > 300 {
		return ""
	}
	return title
}

// service says that a title ends with a word for a service or for money.
func service(title string) bool {
	only := strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) {
			return unicode.ToUpper(c)
		}
		return ' '
	}, title))
	return serviceWord.MatchString(only[strings.LastIndexByte(only, ' ')+1:])
}
