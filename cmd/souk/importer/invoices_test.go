package importer

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const invoiceHeader = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

const invoiceLines = invoiceHeader +
	"536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n" +
	"536365,POST,POSTAGE,1,2010-12-01 08:26:00,18.0,17850,United Kingdom\n" +
	"536366,85123a,WHITE HANGING HEART T-LIGHT HOLDER,1,2010-12-02 08:26:00,5.95,,United Kingdom\n" +
	"536367,85123A,CREAM HANGING HEART T-LIGHT HOLDER,1,2010-12-03 08:26:00,2.55,,United Kingdom\n" +
	"536368,85123A,damages,-3,2010-12-03 09:26:00,0,,United Kingdom\n" +
	"536369,23444,Next Day Carriage,1,2010-12-03 09:26:00,15,,United Kingdom\n" +
	"536370,21134,,1,2010-12-03 09:26:00,0,,United Kingdom\n" +
	"536371,22423,REGENCY CAKESTAND 3 TIER,1\n" +
	"C536372,22423,REGENCY CAKESTAND 3 TIER,-1,2010-12-03 09:26:00,12.75,17850,United Kingdom\n" +
	"536373,22423,REGENCY CAKESTAND 3 TIER,2,2010-12-04 09:26:00,12.75,17850,United Kingdom\n"

func TestInvoiceLinesAreACatalogue(t *testing.T) {
	s := newStub()
	summary, bad := imported(t, s, "trade.csv", invoiceLines)
	if summary.Rows != 10 || summary.Created != 2 || summary.Prices != 2 || summary.Stock != 0 || summary.Quarantined != 4 {
		t.Errorf("the import came to %s", summary)
	}
	var told []string
	for _, b := range bad {
		told = append(told, fmt.Sprintf("%d %s", b.Line, b.Code))
	}
	if got := strings.Join(told, ", "); got != "3 no_stock_number, 7 service, 8 never_sold, 9 bad_form" {
		t.Errorf("quarantined: %s", got)
	}
	if s.prices["85123A"] != "2.55 GBP" || s.prices["22423"] != "12.75 GBP" {
		t.Errorf("prices are %v", s.prices)
	}
	for _, part := range []string{
		`"title":{"en":"WHITE HANGING HEART T-LIGHT HOLDER"}`, `"other_codes":"85123a"`,
		`"other_description_1":"2010-12-03 to 2010-12-03, lines 1: CREAM HANGING HEART T-LIGHT HOLDER"`,
	} {
		if !strings.Contains(s.products["85123A"], part) {
			t.Errorf("the product is %s, which lacks %s", s.products["85123A"], part)
		}
	}
	if again, _ := imported(t, s, "trade.csv", invoiceLines); again.Created+again.Updated+again.Prices != 0 || again.Unchanged != 2 {
		t.Errorf("the second import came to %s", again)
	}
}

func TestCompressedFiles(t *testing.T) {
	for name, text := range map[string]string{
		"invoices.csv.zst": invoiceLines, "goods.csv.zst": "sku,title,price\n85123A,Heart,2.55\n22423,Cakestand,12.75\n",
		"goods.jsonl.zst": `{"sku":"85123A","title":"Heart"}` + "\n" + `{"sku":"22423","title":"Cakestand"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			var packed bytes.Buffer
			w, err := zstd.NewWriter(&packed)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(w, text)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if summary, _ := imported(t, newStub(), name, packed.String()); summary.Created != 2 {
				t.Errorf("the import came to %s", summary)
			}
		})
	}
}

func TestInvoiceLinesCannotComeFromAPipe(t *testing.T) {
	_, err := Import(t.Context(), Source{Name: "-", Reader: io.MultiReader(strings.NewReader(invoiceLines))}, newStub().shop(), Options{})
	if err == nil || !strings.Contains(err.Error(), "read twice") {
		t.Errorf("the error is %v", err)
	}
}
