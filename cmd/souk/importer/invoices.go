package importer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

// open finds out how the source is written, and can tell how much of it is behind.
func (src Source) open(format Format) (found rows, notes []string, taken func() int64, err error) {
	counted := &counter{from: src.Reader}
	looked := bufio.NewReader(counted)
	begins, err := looked.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, nil, err
	}
	var plain io.Reader = looked
	if retail.Compressed(begins) {
		if plain, err = zstd.NewReader(looked, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
			return nil, nil, nil, err
		}
	}
	in := newWindow(plain)
	taken = in.taken
	if plain != looked {
		taken = counted.n.Load
	}
	found, notes, err = open(in, src.Name, format)
	if lines, ok := found.(*invoiceRows); ok {
		taken = lines.taken
	}
	return found, notes, taken, err
}

// counter counts what is read through it.
type counter struct {
	from io.Reader
	n    atomic.Int64
}

// Read reads on.
func (c *counter) Read(p []byte) (n int, err error) {
	n, err = c.from.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// invoiceRows makes a product of each stock code that invoice lines sell, behind the
// lines that sell none.
type invoiceRows struct {
	digits    int // of the currency
	catalogue *retail.Catalogue
	lines     *retail.Reader // nil behind the last line
	read      counter        // of both readings
	products  []*retail.Product
}

// survey reads all lines and goes back to the first.
func (i *invoiceRows) survey(from io.Reader, digits int) error {
	seeker, ok := from.(io.ReadSeeker)
	if !ok {
		return errors.New("lines of invoices are read twice: give a file")
	}
	i.digits, i.catalogue = digits, retail.NewCatalogue(digits)
	if err := i.rewind(seeker); err != nil {
		return err
	}
	for {
		line, err := i.lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		i.catalogue.Note(line)
	}
	i.catalogue.Settle()
	i.products = i.catalogue.Products()
	return i.rewind(seeker)
}

func (i *invoiceRows) rewind(from io.ReadSeeker) (err error) {
	if i.lines != nil {
		i.lines.Close()
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("lines of invoices are read twice, so they cannot come from a pipe: %w", err)
	}
	i.read.from = from
	i.lines, err = retail.NewReader(&i.read)
	return err
}

// taken is how much of the file is behind, as each byte is read twice.
func (i *invoiceRows) taken() int64 { return i.read.n.Load() / 2 }

// next is the next line that sells no product, then one product after another.
func (i *invoiceRows) next() (row, error) {
	for i.lines != nil {
		line, err := i.lines.Next()
		if errors.Is(err, io.EOF) {
			i.lines.Close()
			i.lines = nil
			break
		}
		if err != nil {
			return row{}, err
		}
		why := line.Fault
		if why == retail.Good {
			why = i.catalogue.NoProduct(i.catalogue.Find(line.Code))
		}
		if why != retail.Good {
			return row{line: line.Number, size: len(line.Raw), raw: clip(line.Raw), fault: &fault{why.Code(), why.String()}}, nil
		}
	}
	if len(i.products) == 0 {
		return row{}, io.EOF
	}
	p := i.products[0]
	i.products = i.products[1:]
	return productRow(p, i.digits), nil
}

// othersMax bounds the other descriptions that are kept of a product; its metadata takes 50 notes.
const othersMax = 40

// productRow is a product with the usual price and no stock; its metadata keep what else
// it was called, and how its code was written.
func productRow(p *retail.Product, digits int) row {
	r := row{line: p.First, lines: p.Lines, size: 256 + 64*len(p.Others)}
	r.product = document{ID: p.Code, Title: map[string]string{localeOfFlat: p.Title}, Variants: []variant{{SKU: p.Code}}}
	r.offers = []offer{{sku: p.Code, amount: p.Price.Format(digits)}}
	if len(p.Others)+len(p.Spellings) == 0 {
		return r
	}
	r.product.Metadata = map[string]string{}
	if len(p.Others) > 0 {
		r.product.Metadata["other_descriptions"] = strconv.Itoa(len(p.Others))
	}
	for n, other := range p.Others[:min(len(p.Others), othersMax)] {
		r.product.Metadata[fmt.Sprintf("other_description_%d", n+1)] = fmt.Sprintf("%s to %s, lines %d: %s",
			retail.Day(other.First), retail.Day(other.Last), other.Lines, other.Text)
	}
	if len(p.Spellings) > 0 {
		r.product.Metadata["other_codes"] = strings.Join(p.Spellings, " ")
	}
	return r
}
