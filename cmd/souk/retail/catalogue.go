package retail

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Bounds of what is kept of one product.
const (
	titlesMax    = 200 // descriptions told apart
	pricesMax    = 500 // prices told apart
	spellingsMax = 20
	piecesOfLine = 1_000_000 // that a line of an order may have
)

// Catalogue is what the file sells, by stock code. Note every line, then Settle.
type Catalogue struct {
	digits int // of the currency
	byCode map[string]int32
	items  []*item
}

// item is what the file says of one stock code.
type item struct {
	Product
	why    Reason           // no product, and why; Good for one
	stamps map[string]*Name // titles, of priced sales
	prices map[Amount]int   // and on how many plain lines
}

// Product is what the file sells under one stock code.
type Product struct {
	Code      string
	Title     string   // the description on most of its sales
	Price     Amount   // the one on most of its sales
	Spellings []string // of the code, when it stands in other ways too, as 15056bl
	Others    []Name   // its other descriptions, the oldest first
	First     int      // the first line of the file that has it
	Lines     int      // of the file, all kinds
	Gross     int64    // pieces on the lines of plain invoices
}

// Name is a description and when it was used.
type Name struct {
	Text        string
	First, Last int64 // seconds
	Lines       int
}

// Day writes the day of a time.
func Day(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateOnly) }

// NewCatalogue is an empty one, for a currency with so many digits.
func NewCatalogue(digits int) *Catalogue {
	return &Catalogue{digits: digits, byCode: make(map[string]int32)}
}

// Note takes a line in and gives the number of its stock code, below zero for one that
// could not be read.
func (c *Catalogue) Note(l *Line) int32 {
	if l.Fault != Good {
		return -1
	}
	at, known := c.byCode[string(l.Code)]
	if !known {
		at = int32(len(c.items))
		c.items = append(c.items, newItem(l))
		c.byCode[c.items[at].Code] = at
	}
	c.items[at].note(l, c.digits)
	return at
}

func newItem(l *Line) *item {
	i := &item{Product: Product{Code: string(l.Code), First: l.Number}, stamps: map[string]*Name{}, prices: map[Amount]int{}}
	if !stockNumber(l.Code) {
		i.why = NoStockNumber
	}
	return i
}

func (i *item) note(l *Line, digits int) {
	i.Lines++
	if i.why == NoStockNumber {
		return
	}
	if string(l.Spelling) != i.Code && len(i.Spellings) < spellingsMax && !slices.Contains(i.Spellings, string(l.Spelling)) {
		i.Spellings = append(i.Spellings, string(l.Spelling))
	}
	if Canceled(l.Invoice) || l.Quantity <= 0 {
		return
	}
	i.Gross += l.Quantity
	if _, exact := l.Price.Minor(digits); l.Price <= 0 || !exact {
		return
	}
	if _, known := i.prices[l.Price]; known || len(i.prices) < pricesMax {
		i.prices[l.Price]++
	}
	i.name(l)
}

func (i *item) name(l *Line) {
	name := i.stamps[string(l.Title)]
	if name == nil {
		if len(i.stamps) == titlesMax {
			return
		}
		name = &Name{Text: title(l.Title), First: l.Time, Last: l.Time}
		i.stamps[string(l.Title)] = name
	}
	name.First, name.Last, name.Lines = min(name.First, l.Time), max(name.Last, l.Time), name.Lines+1
}

// Settle decides what is a product, once every line was noted.
func (c *Catalogue) Settle() {
	for _, i := range c.items {
		i.settle()
	}
}

func (i *item) settle() {
	if i.why == NoStockNumber {
		return
	}
	names := i.names()
	switch {
	case len(i.prices) == 0:
		i.why = NeverSold
	case len(names) == 0:
		i.why = NoTitle
	case service(names[0].Text):
		i.why = Service
	}
	if i.why == Good {
		i.Title, i.Price, i.Others = names[0].Text, i.usual(), names[1:]
		slices.SortFunc(i.Others, func(a, b Name) int { return cmp.Or(cmp.Compare(a.First, b.First), strings.Compare(a.Text, b.Text)) })
	}
	slices.Sort(i.Spellings)
	i.stamps, i.prices = nil, nil
}

// names are the titles, the one on most sales first; of several the first by letters.
// Descriptions that differ by blanks only are the same.
func (i *item) names() []Name {
	byText := map[string]*Name{}
	for _, n := range i.stamps {
		switch known := byText[n.Text]; {
		case n.Text == "":
		case known == nil:
			one := *n
			byText[n.Text] = &one
		default:
			known.First, known.Last, known.Lines = min(known.First, n.First), max(known.Last, n.Last), known.Lines+n.Lines
		}
	}
	var names []Name
	for _, n := range byText {
		names = append(names, *n)
	}
	slices.SortFunc(names, func(a, b Name) int { return cmp.Or(b.Lines-a.Lines, strings.Compare(a.Text, b.Text)) })
	return names
}

// usual is the price on most sales; of several the lowest.
func (i *item) usual() (best Amount) {
	for _, price := range slices.Sorted(maps.Keys(i.prices)) {
		if i.prices[price] > i.prices[best] {
			best = price
		}
	}
	return best
}

// Products are those of the catalogue, in the order of codes.
func (c *Catalogue) Products() (all []*Product) {
	for _, i := range c.items {
		if i.why == Good {
			all = append(all, &i.Product)
		}
	}
	slices.SortFunc(all, func(a, b *Product) int { return strings.Compare(a.Code, b.Code) })
	return all
}

// Code is the stock code with a number that Note gave.
func (c *Catalogue) Code(at int32) string { return c.items[at].Code }

// Find is the number of a stock code, in capitals; below zero when the file has none.
func (c *Catalogue) Find(code []byte) int32 {
	if at, known := c.byCode[string(code)]; known {
		return at
	}
	return -1
}

// NoProduct says why a stock code is no product, Good when it is one.
func (c *Catalogue) NoProduct(at int32) Reason { return c.items[at].why }

// Judge says whether a line can be bought, or given back, as far as the line itself tells.
func (c *Catalogue) Judge(at int32, quantity int64, price Amount, canceled bool) Reason {
	if why := c.items[at].why; why != Good {
		return why
	}
	_, exact := price.Minor(c.digits)
	switch {
	case quantity == 0:
		return NoPieces
	case quantity < 0 && !canceled:
		return NegativeQuantity
	case quantity > 0 && canceled:
		return PositiveQuantity
	case max(quantity, -quantity) > piecesOfLine:
		return TooManyPieces
	case price < 0:
		return NegativePrice
	case !exact:
		return ExcessDigits
	}
	return Good
}
