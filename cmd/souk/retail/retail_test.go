package retail_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-21071466/souk/cmd/souk/retail"
)

const header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// read reads all lines and writes each as people would.
func read(t *testing.T, text string) (all []string) {
	t.Helper()
	r, err := retail.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Fault != retail.Good {
			all = append(all, fmt.Sprintf("%d %s", l.Number, l.Fault.Code()))
			continue
		}
		all = append(all, fmt.Sprintf("%d %s %s %s %d %s %s %s %s = %s", l.Number, l.Invoice, l.Code, l.Title, l.Quantity,
			retail.Day(l.Time), l.Price, l.Customer, l.Country, l.Amount()))
	}
}

func TestLines(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{
			"a line as the file has them", header + "536365,85123A,WHITE HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n",
			"2 536365 85123A WHITE HEART 6 2010-12-01 2.55 17850 United Kingdom = 15.30",
		},
		{
			"the mark of UTF-8, line ends of Windows, and none at the end", "\xef\xbb\xbf" + strings.TrimSpace(header) + "\r\n1,85123a,A,1,2010-12-01 08:26:00,2,,France",
			"2 1 85123A A 1 2010-12-01 2.00  France = 2.00",
		},
		{
			"quotes and commas in a description", header + `1,2,"RECORD FRAME 7"" SINGLE, ""BIG""",1,2010-12-01 08:26,2.1,,France` + "\n",
			`2 1 2 RECORD FRAME 7" SINGLE, "BIG" 1 2010-12-01 2.10  France = 2.10`,
		},
		{
			"Latin-1 in a description", header + "1,2,VOUCHER \xa340,1,2010-12-01 08:26:00,2.1,,France\n",
			"2 1 2 VOUCHER £40 1 2010-12-01 2.10  France = 2.10",
		},
		{
			"columns in another order, with one more", "Country,Price,Invoice,StockCode,Quantity,Description,InvoiceDate,Customer ID,More\nFrance,0.001,C1,2,-3,A,2010-12-01 08:26:00,9,x\n",
			"2 C1 2 A -3 2010-12-01 0.001 9 France = -0.003",
		},
		{"a blank line", header + "\n,,,,,,,\n1,2,A,1,2010-12-01 08:26:00,2.1,,France\n", "4 1 2 A 1 2010-12-01 2.10  France = 2.10"},
		{"a quote that does not close costs its line", header + "1,2,\"A,1,2010-12-01 08:26:00,2.1,,France\n1,2,A,1,2010-12-01 08:26:00,2.1,,France\n", "2 bad_form\n3 1 2 A 1 2010-12-01 2.10  France = 2.10"},
		{"too few fields", header + "1,2,A,1,2010-12-01 08:26:00,2.1,\n", "2 bad_form"},
		{"a quantity that is no number", header + "1,2,A,six,2010-12-01 08:26:00,2.1,,France\n", "2 bad_number"},
		{"a price with an exponent", header + "1,2,A,1,2010-12-01 08:26:00,2e3,,France\n", "2 bad_number"},
		{"a price of seven decimals", header + "1,2,A,1,2010-12-01 08:26:00,0.1234567,,France\n", "2 bad_number"},
		{"a day that the calendar lacks", header + "1,2,A,1,2011-02-29 08:26:00,2,,France\n", "2 bad_number"},
		{"an amount beyond all measure", header + "1,2,A,999999999,2011-02-28 08:26:00,999999999,,France\n", "2 bad_number"},
		{"an invoice number that no key can be made of", header + "a b,2,A,1,2011-02-28 08:26:00,1,,France\n", "2 bad_number"},
		{"no invoice number", header + ",2,A,1,2011-02-28 08:26:00,1,,France\n", "2 bad_number"},
		{"a negative price", header + "A1,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,United Kingdom\n", "2 A1 B Adjust bad debt 1 2011-08-12 -11062.06  United Kingdom = -11062.06"},
		{"a line that is too long", header + "1,2," + strings.Repeat("A", 100_000) + ",1,2010-12-01 08:26:00,2.1,,France\n1,2,A,1,2010-12-01 08:26:00,2.1,,France\n", "2 too_long\n3 1 2 A 1 2010-12-01 2.10  France = 2.10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(read(t, tt.text), "\n"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestAFileMayBeCompressed(t *testing.T) {
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, header+"1,2,A,1,2010-12-01 08:26:00,2.1,,France\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, packed.String()); len(got) != 1 {
		t.Errorf("got %q, want one line", got)
	}
}

func TestAnotherHeaderIsRefused(t *testing.T) {
	for _, text := range []string{"", "sku,title\n", "InvoiceNo,StockCode\n1,2\n"} {
		if _, err := retail.NewReader(strings.NewReader(text)); err == nil {
			t.Errorf("%q was taken as invoice lines", text)
		}
	}
}

// catalogue is what lines of code, description, quantity, price, invoice sell.
func catalogue(t *testing.T, lines ...string) *retail.Catalogue {
	t.Helper()
	c := retail.NewCatalogue(2)
	var text strings.Builder
	text.WriteString(header)
	for i, l := range lines {
		f := strings.Split(l, "|")
		for len(f) < 5 {
			f = append(f, []string{"", "SOME THING", "1", "2.50", "536365"}[len(f)])
		}
		fmt.Fprintf(&text, "%s,%s,\"%s\",%s,2010-12-%02d 08:26:00,%s,,France\n", f[4], f[0], f[1], f[2], i%28+1, f[3])
	}
	r, err := retail.NewReader(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || l.Fault != retail.Good {
			t.Fatalf("%v %q", err, l.Raw)
		}
		c.Note(l)
	}
	c.Settle()
	return c
}

func TestWhatIsAProduct(t *testing.T) {
	tests := []struct{ line, want string }{
		{"22423", ""},
		{"85123A", ""},
		{"15056bl", ""},
		{"DCGS0003|BOXED GLASS ASHTRAY", ""},
		{"SP1002|KID'S CHALKBOARD/EASEL", ""},
		{"23099|FRENCH CARRIAGE LANTERN", ""},
		{"21594|Dr. Jam's Arouzer Stress Ball", ""},
		{"POST|POSTAGE", "no_stock_number"},
		{"D|Discount", "no_stock_number"},
		{"M|Manual", "no_stock_number"},
		{"m|Manual", "no_stock_number"},
		{"DOT|DOTCOM POSTAGE", "no_stock_number"},
		{"CRUK|CRUK Commission", "no_stock_number"},
		{"BANK CHARGES|Bank Charges", "no_stock_number"},
		{"AMAZONFEE|AMAZON FEE", "no_stock_number"},
		{"S|SAMPLES", "no_stock_number"},
		{"PADS|PADS TO MATCH ALL CUSHIONS", "no_stock_number"},
		{"B|Adjust bad debt", "no_stock_number"},
		{"C2|CARRIAGE", "no_stock_number"},
		{"ADJUST2|Adjustment by Peter", "no_stock_number"},
		{"TEST001|This is a test product.", "no_stock_number"},
		{"gift_0001_20|Dotcomgiftshop Gift Voucher £20.00", "no_stock_number"},
		{"DCGSSBOY|BOYS PARTY BAG", "no_stock_number"},
		{"23444|Next Day Carriage", "service"},
		{"23574|PACKING CHARGE", "service"},
		{"99999|Gift Voucher £20.00", "service"},
		{"21134||1|0", "never_sold"},
		{"23113|Damaged|-1|0", "never_sold"},
		{"22423|REGENCY CAKESTAND|1|0.001", "never_sold"},
		{"22423|REGENCY CAKESTAND|-1|12.75|C536379", "never_sold"},
		{"22423|damages", "no_title"},
		{"22423|?", "no_title"},
		{"22423|", "no_title"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			c := catalogue(t, tt.line)
			code, _, _ := strings.Cut(tt.line, "|")
			if got := c.NoProduct(c.Find([]byte(strings.ToUpper(code)))).Code(); got != tt.want {
				t.Errorf("it is %q, want %q", got, tt.want)
			}
			if (len(c.Products()) == 1) != (tt.want == "") {
				t.Errorf("there are %d products", len(c.Products()))
			}
		})
	}
}

func TestOneCodeUnderSeveralNamesIsOneProduct(t *testing.T) {
	c := catalogue(t,
		"15056bl|EDWARDIAN PARASOL BLACK|2|5.95", "15056BL|EDWARDIAN  PARASOL BLACK|3|5.95", "15056BL|EDWARDIAN PARASOL|1|12.46",
		"15056BL|damages|5|0", "15056BL|?|-9|0", "15056BL|PARASOL, BLACK|1|5.955", "15056BL|WRONG NAME|-1|5.95|C1", "15056BL|BLACK PARASOL|1|4.95")
	products := c.Products()
	if len(products) != 1 {
		t.Fatalf("there are %d products", len(products))
	}
	p := products[0]
	if p.Code != "15056BL" || p.Title != "EDWARDIAN PARASOL BLACK" || p.Price.Format(2) != "5.95" || !slices.Equal(p.Spellings, []string{"15056bl"}) {
		t.Errorf("the product is %+v", p)
	}
	if p.Gross != 2+3+1+5+1+1 || p.Lines != 8 || p.First != 2 {
		t.Errorf("it has %d pieces on %d lines, the first is %d", p.Gross, p.Lines, p.First)
	}
	var others []string
	for _, o := range p.Others {
		others = append(others, o.Text+" "+retail.Day(o.First))
	}
	if got := strings.Join(others, ", "); got != "EDWARDIAN PARASOL 2010-12-03, BLACK PARASOL 2010-12-08" {
		t.Errorf("it was also called %s", got)
	}
}

func TestJudge(t *testing.T) {
	c := catalogue(t, "22423", "POST|POSTAGE")
	tests := []struct {
		name     string
		code     string
		quantity int64
		price    string
		canceled bool
		want     string
	}{
		{"a sale", "22423", 1, "2.50", false, ""},
		{"a sale for nothing", "22423", 1, "0", false, ""},
		{"a return", "22423", -1, "2.50", true, ""},
		{"no product", "POST", 1, "2.50", false, "no_stock_number"},
		{"a correction of stock", "22423", -1, "0", false, "negative_quantity"},
		{"no pieces", "22423", 0, "1", false, "no_pieces"},
		{"a cancellation that sells", "22423", 1, "1", true, "positive_quantity"},
		{"more than an order takes", "22423", 1_000_001, "1", false, "too_many_pieces"},
		{"a price below zero", "22423", 1, "-1", false, "negative_price"},
		{"a fraction of a penny", "22423", 1, "0.001", false, "excess_digits"},
		{"a third decimal that is nothing", "22423", 1, "0.010", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			price, ok := retail.ParseAmount(tt.price)
			if got := c.Judge(c.Find([]byte(tt.code)), tt.quantity, price, tt.canceled).Code(); got != tt.want || !ok {
				t.Errorf("it is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAmountsAreExact(t *testing.T) {
	for text, want := range map[string]string{
		"2.55": "2.55", "2.5": "2.50", "12": "12.00", "0.001": "0.001", "-0.07": "-0.07", "38970": "38970.00", "0.000001": "0.000001",
	} {
		a, ok := retail.ParseAmount(text)
		var s retail.Sum
		s.Add(a)
		if !ok || a.String() != want || s.String() != want {
			t.Errorf("%s is read as %s, and sums to %s, want %s", text, a, s.String(), want)
		}
	}
	for _, text := range []string{"", "-", ".5", "5.", "1.2.3", "1,5", " 1", "0x1", "1.1234567", "99999999999999999999"} {
		if a, ok := retail.ParseAmount(text); ok {
			t.Errorf("%q is read as %s", text, a)
		}
	}
	yen, _ := retail.ParseAmount("1234")
	if got := yen.Format(retail.Digits("JPY")); got != "1234" {
		t.Errorf("yen are written %s", got)
	}
	if _, exact := yen.Minor(0); !exact {
		t.Error("whole yen are not exact")
	}
}

func TestCountries(t *testing.T) {
	for name, want := range map[string]string{
		"United Kingdom": "GB", "EIRE": "IE", "USA": "US", "RSA": "ZA", "Channel Islands": "JE", "Hong Kong": "HK", "Korea": "KR",
		"European Community": "", "Unspecified": "", "West Indies": "", "": "", "de": "DE",
	} {
		if got := retail.CountryCode(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(header + "1,2,\"A\"\"\",1,2010-12-01 08:26:00,2.1,,France\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := retail.NewReader(bytes.NewReader(text))
		if err != nil {
			return
		}
		defer r.Close()
		c, number := retail.NewCatalogue(2), 1
		for {
			l, err := r.Next()
			if err != nil {
				break
			}
			if l.Number <= number {
				t.Fatalf("line %d follows line %d", l.Number, number)
			}
			number = l.Number
			c.Note(l)
		}
		c.Settle()
	})
}
