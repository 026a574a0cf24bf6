package retail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

const (
	lineMax   = 64 << 10 // bytes of one line; a longer one cannot be read
	fieldsMax = 64       // of one line
	piecesMax = 1_000_000_000
)

// column is a column that is read; its place in the file is the header's matter.
type column uint8

const (
	invoiceColumn column = iota
	codeColumn
	titleColumn
	quantityColumn
	timeColumn
	priceColumn
	customerColumn
	countryColumn
	columns
)

var columnNames = [columns][]string{
	{"InvoiceNo", "Invoice"}, {"StockCode"}, {"Description"}, {"Quantity"}, {"InvoiceDate"}, {"UnitPrice", "Price"}, {"CustomerID"}, {"Country"},
}

// Reader reads lines. A line of the file is a record: a quote that does not close ends
// with its line, so that it costs that line and not the rest of the file.
type Reader struct {
	from   *bufio.Reader
	plain  *zstd.Decoder // nil for a file that is not compressed
	place  [columns]int
	width  int // fields of the header
	number int
	fields [][]byte
	line   Line
	long   []byte // a line that is longer than the buffer
	code   []byte // the stock code in capitals
	latin  []byte // a description that was not written in UTF-8
	stamp  []byte // the date that was read last, which the next line mostly repeats
	at     int64
}

// NewReader reads the header. The file may be compressed by zstd, begin with the mark
// of UTF-8, and have descriptions in Latin-1. Close the reader in the end.
func NewReader(from io.Reader) (*Reader, error) {
	r := &Reader{}
	plain, err := r.decompress(from)
	if err != nil {
		return nil, err
	}
	r.from = bufio.NewReaderSize(plain, lineMax)
	if mark, _ := r.from.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = r.from.Discard(3) // they were peeked at
	}
	header, _, err := r.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if !r.readHeader(header) {
		r.Close()
		return nil, fmt.Errorf("the first line does not name the columns InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country: %.80q", header)
	}
	return r, nil
}

var zstdMark = []byte{0x28, 0xb5, 0x2f, 0xfd}

// Compressed says that these bytes begin a file that zstd compressed.
func Compressed(begins []byte) bool { return bytes.HasPrefix(begins, zstdMark) }

func (r *Reader) decompress(from io.Reader) (io.Reader, error) {
	looked := bufio.NewReader(from)
	begins, err := looked.Peek(len(zstdMark))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !Compressed(begins) {
		return looked, nil
	}
	r.plain, err = zstd.NewReader(looked, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	return r.plain, err
}

// Close gives up what the reader holds, but not what it reads from.
func (r *Reader) Close() {
	if r.plain != nil {
		r.plain.Close()
	}
}

// IsHeader says that a line names the columns of invoice lines.
func IsHeader(line []byte) bool { return new(Reader).readHeader(line) }

func (r *Reader) readHeader(line []byte) bool {
	if !r.split(line) {
		return false
	}
	for c, names := range columnNames {
		r.place[c] = -1
		for i, field := range r.fields {
			for _, name := range names {
				if r.place[c] < 0 && strings.EqualFold(name, strings.ReplaceAll(string(bytes.TrimSpace(field)), " ", "")) {
					r.place[c] = i
				}
			}
		}
		if r.place[c] < 0 {
			return false
		}
	}
	r.width = len(r.fields)
	return true
}

// Next is the next line that is not blank; io.EOF ends them. A line that cannot be read
// has a fault.
func (r *Reader) Next() (*Line, error) {
	for {
		raw, tooLong, err := r.next()
		if err != nil {
			return nil, err
		}
		if len(bytes.Trim(raw, ", \t")) == 0 {
			continue
		}
		r.line = Line{Number: r.number, Raw: raw}
		switch {
		case tooLong:
			r.line.Fault = TooLong
		case !r.split(raw) || len(r.fields) != r.width:
			r.line.Fault = BadForm
		case !r.fill(&r.line):
			r.line.Fault = BadNumber
		}
		return &r.line, nil
	}
}

// next is the next line without its end; one that is too long is cut.
func (r *Reader) next() (raw []byte, tooLong bool, err error) {
	r.number++
	raw, err = r.from.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], raw[:1024]...)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.from.ReadSlice('\n')
		}
		raw, tooLong = r.long, true
	}
	if errors.Is(err, io.EOF) && len(raw) > 0 {
		err = nil // the last line may lack its end
	}
	return bytes.TrimRight(raw, "\r\n"), tooLong, err
}

// split cuts a line into its fields; false when a quote does not close.
func (r *Reader) split(line []byte) bool {
	r.fields = r.fields[:0]
	for len(r.fields) < fieldsMax {
		var field []byte
		if len(line) > 0 && line[0] == '"' {
			n := 0
			if field, n = unquote(line); n < 0 || n < len(line) && line[n] != ',' {
				return false
			}
			line = line[n:]
		} else {
			n := bytes.IndexByte(line, ',')
			if n < 0 {
				n = len(line)
			}
			field, line = line[:n], line[n:]
		}
		r.fields = append(r.fields, field)
		if len(line) == 0 {
			return true
		}
		line = line[1:]
	}
	return false
}

// unquote reads a field in quotes, in which "" is one quote, and gives its length with
// them; below zero when it does not close.
func unquote(line []byte) (field []byte, n int) {
	at := 1 + bytes.IndexByte(line[1:], '"')
	if at > 0 && (at+1 == len(line) || line[at+1] == ',') {
		return line[1:at], at + 1 // no quote within
	}
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] != '"':
			field = append(field, line[i])
		case i+1 < len(line) && line[i+1] == '"':
			field = append(field, '"')
			i++
		default:
			return field, i + 1
		}
	}
	return nil, -1
}

// fill reads the fields; false when one of them is not what it must be.
func (r *Reader) fill(l *Line) bool {
	l.Invoice, l.Customer = r.field(invoiceColumn), r.field(customerColumn)
	l.Country, l.Spelling, l.Title = r.field(countryColumn), r.field(codeColumn), r.text(r.field(titleColumn))
	r.code = capitals(r.code[:0], l.Spelling)
	l.Code = r.code
	var quantity, price, date bool
	l.Quantity, quantity = parseQuantity(r.field(quantityColumn))
	l.Price, price = parseAmount(r.field(priceColumn), priceMax)
	l.Time, date = r.time(r.field(timeColumn))
	return quantity && price && date && fits(l.Quantity, l.Price) && number(l.Invoice) && (len(l.Customer) == 0 || number(l.Customer))
}

func (r *Reader) field(c column) []byte { return bytes.TrimSpace(r.fields[r.place[c]]) }

// text reads a description; one that is no UTF-8 is Latin-1.
func (r *Reader) text(field []byte) []byte {
	if utf8.Valid(field) {
		return field
	}
	r.latin = r.latin[:0]
	for _, c := range field {
		r.latin = utf8.AppendRune(r.latin, rune(c))
	}
	return r.latin
}

func capitals(into, text []byte) []byte {
	for _, c := range text {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		into = append(into, c)
	}
	return into
}

func parseQuantity(text []byte) (n int64, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' || n > piecesMax {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, len(text) > 0 && max(n, -n) <= piecesMax
}

// numberMax bounds invoice numbers and customers, from which ids and keys are made.
const numberMax = 40

// number says that a text can stand in an id: 1 to 40 letters, digits, ".", "_" and "-".
func number(text []byte) bool {
	for _, c := range text {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(text) > 0 && len(text) <= numberMax
}

// time reads "2010-12-01 08:26:00"; the seconds may be missing.
func (r *Reader) time(text []byte) (seconds int64, ok bool) {
	if len(text) > 0 && bytes.Equal(text, r.stamp) {
		return r.at, true
	}
	layout := "2006-01-02 15:04:05"
	if len(text) == len(layout)-3 {
		layout = layout[:len(layout)-3]
	}
	t, err := time.Parse(layout, string(text))
	if err != nil {
		return 0, false
	}
	r.stamp, r.at = append(r.stamp[:0], text...), t.Unix()
	return r.at, true
}
