// Package quote is the heart of pricing: what lines and shipping cost together,
// to the minor unit. It is pure.
//
//	unit price × quantity = subtotal
//	subtotal − discount   = what is taxed, by line, half to even
//
// Where prices exclude tax, items − discounts + shipping + tax = total; where
// they include it, items − discounts + shipping = total and the tax is the part
// of it that is contained.
//
// Who gets the rounding cent: each line, and shipping, has its own tax, rounded
// once, half to even; the tax of the whole is their sum and is never rounded
// again. So the total is what the lines say, and no cent is left over.
package quote

import (
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/money"
)

// The bounds of one quote.
const (
	LinesMax    = 2_000
	QuantityMax = 1_000_000
)

// The tax classes that every shop has, and the one of shipping.
const (
	Standard = "standard"
	Reduced  = "reduced"
	ZeroRate = "zero"
	Shipping = Standard
)

// Channel is a way of selling.
type Channel struct {
	ID             string
	Currency       string
	TaxInclusive   bool   // prices include tax
	DefaultCountry string // whose tax holds until an address is known
}

// Price is what one SKU costs in one channel. Its revision grows with each change.
type Price struct {
	SKU      string
	Amount   money.Money
	From     time.Time // zero: at once
	Until    time.Time // exclusive; zero: for ever
	Revision int64
}

// HoldsAt says that the price is valid at that moment.
func (p *Price) HoldsAt(now time.Time) bool {
	return !now.Before(p.From) && (p.Until.IsZero() || now.Before(p.Until))
}

// TaxKey names a rate: a tax class in a country.
type TaxKey struct {
	Country string // ISO 3166-1 alpha-2
	Class   string
}

// Taxes are the rates of a shop.
type Taxes map[TaxKey]money.Rate

// Rate is the rate of a class in a country. A class that the country does not
// know is taxed as standard, so that a slip costs no tax, except zero; a
// country without rates is one where the shop levies none.
func (t Taxes) Rate(country, class string) money.Rate {
	if class == "" {
		class = Standard
	}
	if rate, known := t[TaxKey{country, class}]; known || class == ZeroRate {
		return rate
	}
	return t[TaxKey{country, Standard}]
}

// Line asks for pieces of one SKU.
type Line struct {
	SKU      string
	Quantity int64
	TaxClass string      // Standard when empty
	Own      money.Money // a price a piece in place of the list's; without a currency there is none
}

// priced says that the line brings its own price.
func (l *Line) priced() bool { return l.Own.Currency != "" }

// Request is what is to be priced.
type Request struct {
	Channel  Channel
	Country  string // where it goes
	Lines    []Line
	Shipping money.Money // before the channel's tax rule
}

// Priced is one line with its price.
type Priced struct {
	Line
	Unit     money.Money
	List     money.Money // the list's price where the line's own took its place; without a currency the list has none
	Subtotal money.Money // unit × quantity
	Discount money.Money
	Tax      money.Money
	Total    money.Money // what the line adds to the total
	Rate     money.Rate
	Known    bool // false: there is no price here, and all sums are nothing
}

// Quote is the price of all lines.
type Quote struct {
	Channel     Channel
	Lines       []Priced
	Items       money.Money // Σ subtotals
	Discounts   money.Money
	Shipping    money.Money
	ShippingTax money.Money
	Tax         money.Money // Σ taxes of lines and of shipping
	Total       money.Money
	Unpriced    []string // SKUs without a price: then Total means nothing
}

// Make prices a request. prices has the list's price of each line, nil where
// there is none that holds; a line's own price takes its place. What cannot be
// counted, or is in another currency than the channel's, is refused naming the
// line.
func Make(r Request, prices []*Price, taxes Taxes) (Quote, error) {
	zero := money.Zero(r.Channel.Currency)
	q := Quote{
		Channel: r.Channel, Lines: make([]Priced, len(r.Lines)),
		Items: zero, Discounts: zero, Shipping: r.Shipping, ShippingTax: zero, Tax: zero, Total: zero,
	}
	for i := range r.Lines {
		line := &q.Lines[i]
		line.Line = r.Lines[i]
		unit, known := line.unit(prices[i])
		if !known {
			q.Unpriced = append(q.Unpriced, line.SKU)
			continue
		}
		line.Rate = taxes.Rate(r.Country, line.TaxClass)
		if err := line.price(unit, r.Channel); err != nil {
			return Quote{}, at(err, i)
		}
	}
	if err := q.ship(taxes.Rate(r.Country, Shipping)); err != nil {
		return Quote{}, err
	}
	return q, q.add()
}

// unit is the price of a piece: the line's own, else the list's.
func (l *Priced) unit(list *Price) (unit money.Money, known bool) {
	switch {
	case !l.priced() && list == nil:
		return unit, false
	case !l.priced():
		return list.Amount, true
	case list != nil:
		l.List = list.Amount
	}
	return l.Own, true
}

// price fills in the sums of a line.
func (l *Priced) price(unit money.Money, c Channel) (err error) {
	if unit.Currency != c.Currency {
		return otherCurrency(unit.Currency, c)
	}
	l.Known, l.Unit, l.Discount = true, unit, money.Zero(c.Currency)
	if l.Subtotal, err = unit.Mul(l.Quantity); err != nil {
		return err
	}
	taxed, err := l.Subtotal.Sub(l.Discount)
	if err != nil {
		return err
	}
	l.Tax, l.Total, err = tax(taxed, l.Rate, c.TaxInclusive)
	return err
}

// tax is the tax on an amount and what the amount adds to a total.
func tax(amount money.Money, rate money.Rate, inclusive bool) (tax, total money.Money, err error) {
	if inclusive {
		_, tax, err = rate.Inclusive(amount)
		return tax, amount, err
	}
	if tax, err = rate.Exclusive(amount); err != nil {
		return tax, amount, err
	}
	total, err = amount.Add(tax)
	return tax, total, err
}

// ship taxes shipping and begins the total with it.
func (q *Quote) ship(rate money.Rate) (err error) {
	if q.Shipping.Currency == "" {
		q.Shipping = q.ShippingTax // there is none
	}
	if q.Shipping.Currency != q.Channel.Currency {
		return otherCurrency(q.Shipping.Currency, q.Channel)
	}
	q.ShippingTax, q.Total, err = tax(q.Shipping, rate, q.Channel.TaxInclusive)
	q.Tax = q.ShippingTax
	return err
}

// add sums up the lines.
func (q *Quote) add() (err error) {
	sum := func(total *money.Money, amount money.Money) {
		if err == nil {
			*total, err = total.Add(amount)
		}
	}
	for i := range q.Lines {
		if line := &q.Lines[i]; line.Known {
			sum(&q.Items, line.Subtotal)
			sum(&q.Discounts, line.Discount)
			sum(&q.Tax, line.Tax)
			sum(&q.Total, line.Total)
		}
	}
	return err
}

// at says which line a refusal is about.
func at(err error, line int) error {
	if p := problem.Of(err); p != nil {
		return p.On("lines["+strconv.Itoa(line)+"]", p.Code, p.Message)
	}
	return err
}

func otherCurrency(currency string, c Channel) *problem.Error {
	return problem.Newf(problem.Unprocessable, "currency_not_sold",
		"channel %s sells in %s, not in %q", c.ID, c.Currency, currency)
}
