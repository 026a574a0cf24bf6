package replay

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// realFile is the real shop's trade, which is no part of the repository.
const realFile = "../../../shared/data/online-retail/online_retail_2010-12_to_2011-07.csv.zst"

// realPath is where the real file should be.
func realPath(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(realFile)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// real is the real file; a test that needs it says clearly that it is absent.
func real(t *testing.T) string {
	t.Helper()
	path := realPath(t)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real invoices are not on this machine, nothing of them was replayed: %v", err)
	}
	return path
}

// sample writes the first lines of the real file.
func sample(t *testing.T, lines int) string {
	t.Helper()
	packed, err := os.Open(real(t))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	plain, err := zstd.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	var text bytes.Buffer
	for from := bufio.NewReader(plain); lines > 0; lines-- {
		line, err := from.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text.Write(line)
	}
	return keep(t, text.Bytes())
}

func keep(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trade.csv")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// bought is what an invented customer bought.
type bought struct {
	code     string
	quantity int
	price    int // pence
}

// invented is a file of the same form with every kind of dirt, drawn from a seed.
type invented struct {
	dice      *rand.Rand
	text      bytes.Buffer
	at        time.Time
	history   map[int][]bought
	number    int
	customers int
}

// invent writes a file of so many invoices.
func invent(t *testing.T, seed uint64, invoices int) string {
	t.Helper()
	f := &invented{
		dice: rand.New(rand.NewPCG(seed, 7)), at: time.Date(2011, 9, 1, 8, 0, 0, 0, time.UTC), history: map[int][]bought{}, number: 565000,
		customers: 12,
	}
	f.text.WriteString("\ufeffInvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\r\n")
	for range invoices {
		f.at = f.at.Add(time.Duration(f.dice.IntN(3000)) * time.Second)
		f.number++
		if f.dice.IntN(5) == 0 {
			f.cancellation()
		} else {
			f.invoice()
		}
	}
	return keep(t, f.text.Bytes())
}

func (f *invented) line(invoice, code, title string, quantity int, price, customer string) {
	at := f.at
	if f.dice.IntN(30) == 0 {
		at = at.Add(time.Minute) // an invoice may span two minutes
	}
	countries := []string{"United Kingdom", "EIRE", "Channel Islands", "Unspecified", "RSA"}
	fmt.Fprintf(&f.text, "%s,%s,%s,%d,%s,%s,%s,%s\r\n", invoice, code, title, quantity, at.Format(time.DateTime), price, customer,
		countries[len(customer+code)*len(invoice)%len(countries)])
}

func pence(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }

func (f *invented) invoice() {
	who := f.dice.IntN(f.customers + 3)
	customer := fmt.Sprint(13000 + who)
	if who >= f.customers {
		customer = ""
	}
	number := fmt.Sprint(f.number)
	for range 1 + f.dice.IntN(12) {
		b := bought{fmt.Sprint(22000 + f.dice.IntN(40)), 1 + f.dice.IntN(20), 100 * (1 + f.dice.IntN(4))}
		if f.dice.IntN(4) == 0 {
			b.code += "b"
		}
		if f.dice.IntN(60) == 0 {
			b.quantity *= 40 // one that can exhaust a stock
		}
		f.line(number, b.code, `"THING, CALLED ""`+b.code[:5]+`"""`, b.quantity, pence(b.price), customer)
		f.history[who] = append(f.history[who], b)
	}
	f.dirt(number, customer)
}

// dirt adds a line of the kinds that are no sale.
func (f *invented) dirt(number, customer string) {
	switch f.dice.IntN(16) {
	case 0:
		f.line(number, "POST", "POSTAGE", 1, "18.0", customer)
	case 1:
		f.line(number, "C2", "CARRIAGE", 1, "50", customer)
	case 2:
		f.line(number, "23444", "Next Day Carriage", 1, "15", customer)
	case 3:
		f.line(number, "gift_0001_20", "Gift Voucher \xa320.00", 1, "16.67", customer)
	case 4:
		f.line(number, "22001", "damages", -4, "0", "")
	case 5:
		f.line(number, "22002", "?", 3, "0", customer)
	case 6:
		f.line(number, "22003", "PADS TO MATCH", 3, "0.001", customer)
	case 7:
		f.line(number, "B", "Adjust bad debt", 1, "-11062.06", "")
	case 8:
		fmt.Fprintf(&f.text, "%s,22004,\"A QUOTE THAT IS OPEN,1,2011-09-01 08:00:00,1.25,,EIRE\r\n", number)
	case 9:
		fmt.Fprintf(&f.text, "%s,22004,TOO FEW,1,2011-09-01 08:00:00\r\n\r\n", number)
	case 10:
		f.line(number, "21999", "lost", 10, "0", "")
	case 11:
		f.number++ // an invoice of what was found
		f.line(fmt.Sprint(f.number), "22005", "found", 10, "0", "")
	}
}

func (f *invented) cancellation() {
	who, number := f.dice.IntN(f.customers), fmt.Sprintf("C%d", f.number)
	customer := fmt.Sprint(13000 + who)
	if f.dice.IntN(10) == 0 {
		customer = ""
	}
	if f.dice.IntN(4) == 0 {
		f.line(number, "D", "Discount", -1, "27.50", customer)
	}
	for range 1 + f.dice.IntN(4) {
		b := bought{"22039", 5, 300}
		if past := f.history[who]; len(past) > 0 {
			b = past[f.dice.IntN(len(past))]
		}
		switch f.dice.IntN(6) {
		case 0:
			b.price -= 10 // a part of the price
		case 1:
			b.price += 1000
		case 2:
			b.quantity += 7
		case 3:
			b.quantity = 1 + b.quantity/2
		}
		f.line(number, b.code, "THING", -b.quantity, pence(b.price), customer)
	}
}
