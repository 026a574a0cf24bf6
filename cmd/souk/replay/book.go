package replay

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// book is what the file says, and what became of it.
type book struct {
	sum       string // SHA-256 of the file, not compressed
	digits    int    // of the currency
	catalogue *retail.Catalogue
	invoices  []invoice // in order of time
	lines     []line    // by invoice, as they stand in the file
	customers []string
	countries []string // codes
	unread    []unread
	all       int // lines of the file
}

// invoice is one invoice and what became of it.
type invoice struct {
	number      string
	time        int64 // of its first line
	begins      int32 // its first line in the file
	first, next int32 // its lines in the book
	customer    int32 // below zero for a guest
	country     int32
	canceled    bool
	parts       []part // orders of a plain invoice, returns of a cancellation
}

// part is one order, or one return, and what the shop made of it.
type part struct {
	id      string        // of the order, or of the return
	refused string        // a code; "" when it was accepted
	amount  retail.Amount // that is paid, or given back
	share   retail.Amount // of a return: what its pieces were sold for
	pieces  []pieces      // of a return
	sale    int32         // the invoice whose order it is about
	order   string        // that order's id
	lines   int32         // of an order
}

// line is one line of an invoice.
type line struct {
	price    retail.Amount
	number   int32 // in the file
	code     int32 // in the catalogue
	quantity int32
	left     int32 // pieces of an accepted sale that did not come back
	why      retail.Reason
}

func (l *line) amount() retail.Amount { return retail.Amount(l.quantity) * l.price }

// unread is a line that could not be read.
type unread struct {
	number int
	why    retail.Reason
	raw    string
}

const (
	unreadMax = 100_000 // unread lines whose text is kept; of others only the number
	rawMax    = 1 << 10 // bytes of it
)

// open reads a file. Invoices come in order of the time of their first lines.
func open(path, currency string, p *progress) (*book, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	digits := retail.Digits(currency)
	r := &reading{
		book:      &book{digits: digits, catalogue: retail.NewCatalogue(digits)},
		invoices:  make(map[string]int32),
		customers: make(map[string]int32),
		countries: make(map[string]int32),
		progress:  p, from: &counted{Reader: file}, size: info.Size(),
	}
	if err := r.read(); err != nil {
		return nil, err
	}
	return r.book, nil
}

// reading is a book that is being read.
type reading struct {
	*book
	invoices  map[string]int32
	customers map[string]int32
	countries map[string]int32
	of        []int32 // the invoice of each line
	progress  *progress
	from      *counted
	size      int64 // of the file as it lies there; 0 when nobody knows
}

// counted counts the bytes that are read.
type counted struct {
	io.Reader
	bytes int64
}

// Read reads on.
func (c *counted) Read(into []byte) (n int, err error) {
	n, err = c.Reader.Read(into)
	c.bytes += int64(n)
	return n, err
}

// tellEvery is after how many lines it is time to look whether something should be told.
const tellEvery = 10_000

// tell says how far the reading has come.
func (r *reading) tell() {
	if r.all%tellEvery != 0 {
		return
	}
	if r.size > 0 {
		r.progress.step("%d lines of the file read, %d %%", r.all, min(100*r.from.bytes/r.size, 100))
	} else {
		r.progress.step("%d lines of the file read", r.all)
	}
}

func (r *reading) read() error {
	digest := sha256.New()
	lines, err := retail.NewReader(r.from)
	if err != nil {
		return err
	}
	defer lines.Close()
	for {
		l, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		digest.Write(l.Raw)
		digest.Write([]byte{'\n'})
		r.take(l)
		r.tell()
		if len(r.lines) > linesMax {
			return fmt.Errorf("the file has more than %d lines", linesMax)
		}
	}
	r.sum = hex.EncodeToString(digest.Sum(nil))
	r.catalogue.Settle()
	r.sort()
	r.judge()
	return nil
}

func (r *reading) take(l *retail.Line) {
	r.all++
	code := r.catalogue.Note(l)
	if code < 0 {
		u := unread{number: l.Number, why: l.Fault}
		if len(r.unread) < unreadMax {
			u.raw = string(l.Raw[:min(len(l.Raw), rawMax)])
		}
		r.unread = append(r.unread, u)
		return
	}
	at, known := r.invoices[string(l.Invoice)]
	if !known {
		at = int32(len(r.book.invoices))
		r.book.invoices = append(r.book.invoices, invoice{
			number: string(l.Invoice), time: l.Time, begins: int32(l.Number), canceled: retail.Canceled(l.Invoice),
			customer: -1, country: index(r.countries, &r.book.countries, retail.CountryCode(l.Country)),
		})
		if len(l.Customer) > 0 {
			r.book.invoices[at].customer = index(r.customers, &r.book.customers, string(l.Customer))
		}
		r.invoices[r.book.invoices[at].number] = at
	}
	r.book.invoices[at].next++
	r.of = append(r.of, at)
	r.lines = append(r.lines, line{price: l.Price, number: int32(l.Number), code: code, quantity: int32(l.Quantity)})
}

// index is the place of a text in a list that holds each text once.
func index(known map[string]int32, all *[]string, text string) int32 {
	at, found := known[text]
	if !found {
		at = int32(len(*all))
		*all = append(*all, text)
		known[text] = at
	}
	return at
}

// sort puts invoices in order of time and the lines of each together.
func (r *reading) sort() {
	order := make([]int32, len(r.book.invoices))
	for i := range order {
		order[i] = int32(i)
	}
	all := r.book.invoices
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(all[a].time, all[b].time), cmp.Compare(all[a].begins, all[b].begins))
	})
	sorted, place, begins := make([]invoice, len(all)), make([]int32, len(all)), int32(0)
	for to, from := range order {
		sorted[to] = all[from]
		sorted[to].first, sorted[to].next, place[from] = begins, begins+all[from].next, begins
		begins = sorted[to].next
	}
	lines := make([]line, len(r.lines))
	for i, l := range r.lines {
		lines[place[r.of[i]]] = l
		place[r.of[i]]++
	}
	r.book.invoices, r.lines, r.of = sorted, lines, nil
}

// judge says of every line what it is, as far as it tells by itself.
func (b *book) judge() {
	for i := range b.invoices {
		v := &b.invoices[i]
		for n := v.first; n < v.next; n++ {
			l := &b.lines[n]
			l.why = b.catalogue.Judge(l.code, int64(l.quantity), l.price, v.canceled)
			if l.why == retail.Good && v.canceled && v.customer < 0 {
				l.why = retail.NoCustomer
			}
		}
	}
}

// of are the lines of an invoice.
func (b *book) of(v *invoice) []line { return b.lines[v.first:v.next] }

// quarantined is one line of the quarantine's file.
type quarantined struct {
	Line     int    `json:"line"`
	Invoice  string `json:"invoice,omitempty"`
	Code     string `json:"code"`
	Reason   string `json:"reason"`
	Stock    string `json:"stock_code,omitempty"`
	Quantity int32  `json:"quantity,omitempty"`
	Price    string `json:"unit_price,omitempty"`
	Amount   string `json:"amount,omitempty"`
	Raw      string `json:"raw,omitempty"`
}

// quarantine writes every line that was neither bought nor given back, by invoice, and
// behind them those that could not be read.
func (b *book) quarantine(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	for i := range b.invoices {
		v := &b.invoices[i]
		for _, l := range b.of(v) {
			if l.why == retail.Good {
				continue
			}
			err := encoder.Encode(quarantined{
				Line: int(l.number), Invoice: v.number, Code: l.why.Code(), Reason: l.why.String(), Stock: b.catalogue.Code(l.code),
				Quantity: l.quantity, Price: l.price.Format(b.digits), Amount: l.amount().Format(b.digits),
			})
			if err != nil {
				return fmt.Errorf("write the quarantine: %w", err)
			}
		}
	}
	for _, u := range b.unread {
		if err := encoder.Encode(quarantined{Line: u.number, Code: u.why.Code(), Reason: u.why.String(), Raw: u.raw}); err != nil {
			return fmt.Errorf("write the quarantine: %w", err)
		}
	}
	return nil
}
