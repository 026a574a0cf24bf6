package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// row is one line of the file.
type row struct {
	number   int
	invoice  *bill
	code     string // the stock code in capitals
	spelt    string
	title    string
	quantity int64
	price    *big.Rat
	amount   *big.Rat // as the books count it: what a cancellation gives back is positive
	reason   string   // why it is quarantined; "" for a good line
	left     int64    // pieces of an accepted sale that did not come back
}

// bill is one invoice.
type bill struct {
	number   string
	canceled bool
	at       time.Time
	first    int
	customer string
	rows     []*row
	orders   []*order // of its good rows, 2,000 each; nil where there is none
}

// good are the rows that are bought, or given back.
func (b *bill) good() (rows []*row) {
	for _, r := range b.rows {
		if r.reason == "" {
			rows = append(rows, r)
		}
	}
	return rows
}

// file is all of it.
type file struct {
	lines    int
	bills    []*bill
	unread   map[string]int // lines that cannot be read, by reason
	received int64          // pieces
	products int
}

// header is where the columns are.
type header struct {
	width int
	at    map[string]int
}

var names = map[string]string{
	"invoiceno": "invoice", "invoice": "invoice", "stockcode": "code", "description": "title", "quantity": "quantity",
	"invoicedate": "date", "unitprice": "price", "price": "price", "customerid": "customer", "country": "country",
}

func readFile(path string) (*file, error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	var text io.Reader = bufio.NewReader(opened)
	if magic, _ := text.(*bufio.Reader).Peek(4); string(magic) == "\x28\xb5\x2f\xfd" { // a short file is none
		unpacked, err := zstd.NewReader(text)
		if err != nil {
			return nil, err
		}
		defer unpacked.Close()
		text = unpacked
	}
	return read(bufio.NewReaderSize(text, 1<<20))
}

// tooLong is what a line has at least, with its end, that is too long.
const tooLong = 64 << 10

func read(text *bufio.Reader) (*file, error) {
	f := &file{unread: map[string]int{}}
	var head *header
	known := map[string]*bill{}
	for number := 1; ; number++ {
		line, err := text.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if line == "" {
			break
		}
		length := len(line)
		line = strings.TrimRight(line, "\r\n")
		switch {
		case head == nil:
			if head, err = readHeader(strings.TrimPrefix(line, "\ufeff")); err != nil {
				return nil, err
			}
		case strings.Trim(line, ", \t") == "":
		case length > tooLong:
			f.lines++
			f.unread["too_long"]++
		default:
			f.lines++
			if fault := f.take(head, line, number, known); fault != "" {
				f.unread[fault]++
			}
		}
	}
	sort.SliceStable(f.bills, func(i, j int) bool {
		if !f.bills[i].at.Equal(f.bills[j].at) {
			return f.bills[i].at.Before(f.bills[j].at)
		}
		return f.bills[i].first < f.bills[j].first
	})
	return f, nil
}

func readHeader(line string) (*header, error) {
	fields, ok := split(line)
	h := &header{width: len(fields), at: map[string]int{}}
	for i, field := range fields {
		name := names[strings.ToLower(strings.ReplaceAll(strings.TrimSpace(field), " ", ""))]
		if _, twice := h.at[name]; !twice {
			h.at[name] = i
		}
	}
	delete(h.at, "")
	if !ok || len(h.at) != 8 {
		return nil, fmt.Errorf("the header is %.100q", line)
	}
	return h, nil
}

// split cuts a line into fields; false when a quote does not close.
func split(line string) (fields []string, ok bool) {
	if !strings.Contains(line, `"`) {
		return strings.Split(line, ","), true
	}
	for {
		field, rest := line, ""
		more := false
		if strings.HasPrefix(line, `"`) {
			inner := quoted.FindString(line)
			if inner == "" {
				return nil, false
			}
			field = strings.ReplaceAll(inner[1:len(inner)-1], `""`, `"`)
			if rest = line[len(inner):]; rest != "" && rest[0] != ',' {
				return nil, false
			}
			more = rest != ""
			rest = strings.TrimPrefix(rest, ",")
		} else {
			field, rest, more = strings.Cut(line, ",")
		}
		fields = append(fields, field)
		if !more {
			return fields, true
		}
		line = rest
	}
}

var (
	quoted    = regexp.MustCompile(`^"(?:[^"]|"")*"`)
	numberly  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,40}$`)
	wholly    = regexp.MustCompile(`^-?[0-9]+$`)
	decimally = regexp.MustCompile(`^-?[0-9]+(\.[0-9]{1,6})?$`)

	billion        = big.NewRat(1_000_000_000, 1)
	hundredBillion = big.NewRat(100_000_000_000, 1)
)

// take reads one line, or says why it cannot be read.
func (f *file) take(h *header, line string, number int, known map[string]*bill) (fault string) {
	fields, ok := split(line)
	if !ok || len(fields) != h.width {
		return "bad_form"
	}
	get := func(name string) string { return strings.TrimSpace(fields[h.at[name]]) }
	r := &row{number: number, spelt: get("code"), title: utf8Of(get("title"))}
	r.code = capitals(r.spelt)
	at, dated := date(get("date"))
	customer, invoice := get("customer"), get("invoice")
	if !dated || !numberly.MatchString(invoice) || customer != "" && !numberly.MatchString(customer) || !r.figures(get("quantity"), get("price")) {
		return "bad_number"
	}
	b := known[invoice]
	if b == nil {
		b = &bill{number: invoice, canceled: strings.HasPrefix(strings.ToUpper(invoice), "C"), at: at, first: number, customer: customer}
		known[invoice] = b
		f.bills = append(f.bills, b)
	}
	if r.invoice = b; b.canceled {
		r.amount.Neg(r.amount)
	}
	b.rows = append(b.rows, r)
	return ""
}

// figures reads quantity and price.
func (r *row) figures(quantity, price string) bool {
	if !wholly.MatchString(quantity) || !decimally.MatchString(price) {
		return false
	}
	pieces, _ := new(big.Rat).SetString(quantity) // as matched
	r.price, _ = new(big.Rat).SetString(price)    // as matched
	r.amount = new(big.Rat).Mul(pieces, r.price)
	if beyond(pieces, billion) || beyond(r.price, billion) || beyond(r.amount, hundredBillion) {
		return false
	}
	r.quantity = pieces.Num().Int64()
	return true
}

func beyond(n, most *big.Rat) bool { return new(big.Rat).Abs(n).Cmp(most) > 0 }

func utf8Of(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(rune(text[i]))
	}
	return b.String()
}

func capitals(text string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - 'a' + 'A'
		}
		return c
	}, text)
}

func date(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if len(text) == len(layout) {
			at, err := time.Parse(layout, text)
			return at, err == nil
		}
	}
	return time.Time{}, false
}
