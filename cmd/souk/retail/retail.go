// Package retail reads a shop's invoice lines in the form of UCI's "Online Retail"
// and says, by general rules alone, what each of them is: the sale of a product, a
// return, or something that a shop cannot buy and sell, with the reason.
//
//	InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
//	536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
//
// An import and a replay of the same file go by the same rules; docs/replay.md tells
// them in words.
//
//	file ─▶ Reader ─▶ Line ─▶ Catalogue.Note …, Settle ─▶ Catalogue.Judge(line) ─▶ Good or a Reason
package retail

// Line is one line of the file. Its texts are the reader's own and hold until the next
// line is read.
type Line struct {
	Number   int // in the file, from 1; the header is the first
	Raw      []byte
	Fault    Reason // why it cannot be read; then only Number and Raw mean anything
	Invoice  []byte
	Code     []byte // the stock code in capitals, without blanks around it
	Spelling []byte // the stock code as it stands
	Title    []byte // the description as it stands
	Quantity int64
	Time     int64  // seconds of the clock on the shop's wall, as if it stood in UTC
	Price    Amount // of one piece
	Customer []byte // empty for a guest
	Country  []byte // its name
}

// Amount is what the line comes to; what a cancellation gives back is below zero.
func (l *Line) Amount() Amount { return Amount(l.Quantity) * l.Price }

// Canceled says that a number is one of a cancellation: it begins with a C.
func Canceled[T string | []byte](invoice T) bool {
	return len(invoice) > 0 && (invoice[0] == 'C' || invoice[0] == 'c')
}

// Reason is why a line is neither bought nor given back.
type Reason uint8

// The reasons. Those up to NeverSold say that a line names no product.
const (
	Good Reason = iota
	BadForm
	BadNumber
	TooLong
	NoStockNumber
	Service
	NoTitle
	NeverSold
	NoPieces
	NegativeQuantity
	PositiveQuantity
	TooManyPieces
	NegativePrice
	ExcessDigits
	NoCustomer
	BeforeTheFile
	RefusedHere
	ReturnedAlready
	PriceAboveSales
	reasons
)

var told = [reasons]struct{ code, sentence string }{
	Good:             {"", ""},
	BadForm:          {"bad_form", "the line has not the fields of the header, or a quote does not close"},
	BadNumber:        {"bad_number", "the invoice number, customer, quantity, price or date cannot be read"},
	TooLong:          {"too_long", "the line is longer than a line may be"},
	NoStockNumber:    {"no_stock_number", "the stock code is not that of a product: it has no number of four digits, or something else than letters and digits"},
	Service:          {"service", "the usual description of the stock code is that of a service or of money, not of a thing"},
	NoTitle:          {"no_title", "no sale of the stock code says what it is"},
	NeverSold:        {"never_sold", "no plain invoice sells the stock code at a price"},
	NoPieces:         {"no_pieces", "the quantity is zero"},
	NegativeQuantity: {"negative_quantity", "the quantity on a plain invoice is below zero"},
	PositiveQuantity: {"positive_quantity", "the quantity on a cancellation is above zero"},
	TooManyPieces:    {"too_many_pieces", "the quantity is more than a line of an order may have"},
	NegativePrice:    {"negative_price", "the price is below zero"},
	ExcessDigits:     {"excess_digits", "the price has more decimals than the currency"},
	NoCustomer:       {"no_customer", "the cancellation names no customer, so nobody's sale can be found"},
	BeforeTheFile:    {"before_the_file", "the customer bought fewer pieces in the file before it"},
	RefusedHere:      {"refused_here", "the customer's sale was refused here"},
	ReturnedAlready:  {"returned_already", "what the customer bought came back already"},
	PriceAboveSales:  {"price_above_sales", "the customer's sales were cheaper than what is given back"},
}

// Code is the reason for programs; it will not change.
func (r Reason) Code() string { return told[r].code }

// String is the reason for people.
func (r Reason) String() string { return told[r].sentence }

// Readable says that the line could be read, so that it has an amount.
func (r Reason) Readable() bool { return r != BadForm && r != BadNumber && r != TooLong }
