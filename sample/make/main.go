// Command make draws the sample catalogue from the invoice lines of UCI's
// "Online Retail": the products that sold most pieces, each with its usual
// title and price.
//
//	go run ./sample/make online_retail.csv.zst > sample/online-retail.csv
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// products is how many products the sample has.
const products = 500

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "make the sample:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("name the compressed file of invoice lines, and nothing else")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := zstd.NewReader(file)
	if err != nil {
		return err
	}
	defer plain.Close()
	sales, err := read(plain)
	if err != nil {
		return fmt.Errorf("read %s: %w", args[0], err)
	}
	return write(out, sales.best(products))
}

// A line of the file, by column.
const (
	columnInvoice = iota
	columnStockCode
	columnDescription
	columnQuantity
	_ // InvoiceDate
	columnPrice
)

// wares matches the codes of things; postage, samples and charges have other ones.
var wares = regexp.MustCompile(`^[0-9]{5}[A-Z]{0,2}$`)

// read counts what was sold. Cancellations, and lines without pieces, price or
// a whole number of pence, are no sales.
func read(from io.Reader) (sales, error) {
	lines := csv.NewReader(from)
	lines.ReuseRecord = true
	if _, err := lines.Read(); err != nil { // the header
		return nil, err
	}
	found := make(sales)
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		code := strings.ToUpper(line[columnStockCode])
		pieces, err := strconv.Atoi(line[columnQuantity])
		pence, ok := penceOf(line[columnPrice])
		if err != nil || !ok || pieces <= 0 || strings.HasPrefix(line[columnInvoice], "C") || !wares.MatchString(code) {
			continue
		}
		found.add(code, line[columnDescription], pence, pieces)
	}
}

// penceOf reads "2.1" as 210.
func penceOf(price string) (int, bool) {
	pounds, fraction, _ := strings.Cut(price, ".")
	if len(fraction) > 2 {
		return 0, false
	}
	pence, err := strconv.Atoi(pounds + (fraction + "00")[:2])
	return pence, err == nil && pence > 0
}

func write(to io.Writer, best []*sale) error {
	rows := csv.NewWriter(to)
	if err := rows.Write([]string{"sku", "title", "price", "currency", "stock", "weight_grams", "category"}); err != nil {
		return err
	}
	for _, s := range best {
		description := mode(s.descriptions)
		title := titleOf(description)
		pence := mode(s.prices)
		if err := rows.Write([]string{
			s.code, title, fmt.Sprintf("%d.%02d", pence/100, pence%100), "GBP",
			strconv.Itoa(stockOf(s.pieces)), strconv.Itoa(weightOf(description)), categoryOf(description),
		}); err != nil {
			return err
		}
	}
	rows.Flush()
	return rows.Error()
}
