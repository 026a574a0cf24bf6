package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const header = "sku,title,description,price,currency,stock,weight_grams,category,ean,image_url,attr:Colour,attr:Width:number\n"

func TestAFileArrivesWholeAndASecondRunChangesNothing(t *testing.T) {
	s := newStub()
	file := header +
		"A1,Red Mug,\"It says \"\"hi\"\",\nand more\",4.50,GBP,7,350,Kitchen > Mugs | Gifts,,https://x.example/a.jpg,red,8.5\n" +
		"A2,Blue Mug,,4.00,,0,,Kitchen > Mugs,,,,\n" +
		"A3,Unpriced,,,,,,,,,,\n"
	first, bad := imported(t, s, "c.csv", file)
	if len(bad) > 0 || first.Created != 3 || first.Prices != 2 || first.Stock != 2 || first.Categories != 3 || first.Rows != 3 {
		t.Fatalf("%v %+v", bad, first)
	}
	want := `{"id":"A1","title":{"en":"Red Mug"},"description":{"en":"It says \"hi\",\nand more"},"category_ids":["kitchen.mugs","gifts"],` +
		`"variants":[{"sku":"A1","weight_grams":350}],"attributes":{"Colour":{"text":"red"},"Width":{"number":8.5}},"media":[{"url":"https://x.example/a.jpg"}]}`
	if s.products["A1"] != want {
		t.Errorf("%s\nwant %s", s.products["A1"], want)
	}
	if s.prices["A2"] != "4.00 GBP" || s.stock["A1"] != 7 {
		t.Errorf("%v %v", s.prices, s.stock)
	}
	s.stock["A1"] = 3 // trade went on
	second, bad := imported(t, s, "c.csv", file)
	if len(bad) > 0 || second.Unchanged != 3 || second.PricesUnchanged != 2 || second.StockUnchanged != 2 || second.Categories+second.Created+second.Prices != 0 {
		t.Fatalf("%v %+v", bad, second)
	}
	if s.stock["A1"] != 3 {
		t.Error("the import undid trade")
	}
}

func TestABadRowIsQuarantinedWithItsLineAndReason(t *testing.T) {
	const head, good = "sku,title,price,stock\n", "GOOD,Mug,1.00,5\n"
	for _, row := range []struct {
		name, rows string
		line       int
		code       string
	}{
		{"bytes that are no UTF-8", "X,M\xffg,1,1\n", 2, "not_utf8"},
		{"a field too few", "X,Mug,1\n", 2, "wrong_field_count"},
		{"a comma that should be quoted", "X,Mug, red,1,1\n", 2, "wrong_field_count"},
		{"no SKU", ",Mug,1,1\n", 2, "sku_required"},
		{"no title", "X, ,1,1\n", 2, "title_required"},
		{"a comma in a price", "X,Mug,\"1,00\",1\n", 2, "bad_price"},
		{"a negative price", "X,Mug,-1.00,1\n", 2, "bad_price"},
		{"half a piece", "X,Mug,1.00,0.5\n", 2, "bad_stock"},
		{"a quote that does not close", "X,\"Mug,1.00,1\n", 2, "broken_quotes"},
		{"text behind a closing quote", "X,\"Mug\" red,1.00,1\n", 2, "broken_quotes"},
		{"a SKU that stood before", "Y,Mug,1.00,1\nY,Jug,1.00,1\n", 3, "repeated_sku"},
		{"a SKU with a space", "X Y,Mug,1.00,1\n", 2, "not_a_sku"},
		{"what the shop refuses", "REFUSED,Mug,1.00,1\n", 2, "invalid_request"},
		{"a stock that the shop refuses", "UNCOUNTABLE,Mug,1.00,1\n", 2, "invalid_request"},
		{"lines are counted through blank ones and quoted ones", "\r\n,,,\nY,\"Mu\r\ng\",1.00,1\r\nX,,1,1\r\n", 6, "title_required"},
		{"a row beyond the bound", "X,\"" + strings.Repeat("m", RecordMax) + "\",1,1\n", 2, "row_too_long"},
		{"a row beyond the bound in lines", "X,\"" + strings.Repeat(strings.Repeat("line ", 200)+"\n", RecordMax/1000) + "\",1,1\n", 2, "broken_quotes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStub()
			summary, bad := imported(t, s, "c.csv", head+row.rows+good)
			if len(bad) == 0 || bad[0].Line != row.line || bad[0].Code != row.code {
				t.Fatalf("quarantined %.300v, want %s in line %d", bad, row.code, row.line)
			}
			if len(bad[0].Raw) > rawMax || len(bad[0].Raw) < 3 {
				t.Errorf("the raw text has %d bytes: %.100s", len(bad[0].Raw), bad[0].Raw)
			}
			if s.products["GOOD"] == "" || s.prices["GOOD"] == "" || s.stock["GOOD"] != 5 {
				t.Error("the good row behind it was lost")
			}
			if summary.Quarantined != len(bad) {
				t.Errorf("%d counted, %d kept", summary.Quarantined, len(bad))
			}
		})
	}
}

func TestAFileThatCannotBeReadIsRefusedHelpfully(t *testing.T) {
	for _, row := range []struct{ name, text, says string }{
		{"nothing", "", "the file is empty"},
		{"nothing but a mark", "\xef\xbb\xbf", "the file is empty"},
		{"UTF-16", "\xff\xfes\x00k\x00", "save it as UTF-8"},
		{"a missing column and its misspelling", "skew,title\nA,B\n", `the column "sku" is missing; did you mean it by "skew"?`},
		{"no header at all", "A1,Mug,4.50\n", `the column "sku" is missing`},
		{"a column twice", "sku,title,price,price\n", `the column "price" stands twice`},
		{"a header of open quotes", "\"sku,title\n", "the first line is no header"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStub()
			_, err := Import(t.Context(), Source{Name: "c.csv", Reader: strings.NewReader(row.text)}, s.shop(), Options{})
			if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), "c.csv") {
				t.Errorf("%v, want %q", err, row.says)
			}
			if len(s.calls) > 0 {
				t.Errorf("the shop was called: %v", s.calls)
			}
		})
	}
}

func TestHeadersAsPeopleWriteThem(t *testing.T) {
	for _, row := range []struct{ name, text string }{
		{"a mark of UTF-8, capitals and spaces", "\xef\xbb\xbfSKU,Title,Weight Grams\nA,Mug,300\n"},
		{"semicolons", "sku;title;weight_grams\nA;Mug;300\n"},
		{"tabs and no last line end", "sku\ttitle\tweight_grams\nA\tMug\t300"},
		{"line ends of Windows", "sku,title,weight_grams\r\nA,Mug,300\r\n"},
		{"everything quoted", "\"sku\",\"title\",\"weight_grams\"\r\n\"A\",\"Mug\",\"300\"\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStub()
			_, bad := imported(t, s, "c.csv", row.text)
			if want := `{"id":"A","title":{"en":"Mug"},"variants":[{"sku":"A","weight_grams":300}]}`; s.products["A"] != want {
				t.Errorf("%s %v", s.products["A"], bad)
			}
		})
	}
	s := newStub()
	summary, _ := imported(t, s, "c.csv", "sku,title,wieght_grams,foo\nA,12\" ruler,1,x\n")
	want := []string{`the column "wieght_grams" is not read; did you mean "weight_grams"?`, `the column "foo" is not read`}
	if !slices.Equal(summary.Notes, want) || !strings.Contains(s.products["A"], `12\" ruler`) {
		t.Errorf("%q %s", summary.Notes, s.products["A"])
	}
}

func TestJSONLinesOfDocumentsAndOfFlatObjects(t *testing.T) {
	s := newStub()
	_, bad := imported(t, s, "c.jsonl", `{"id":"p1","title":{"en":"Mug","de":"Becher"},"options":[{"name":"Size","values":["S","L"]}],"variants":[`+
		`{"sku":"S","options":{"Size":"S"},"price":"1.50","stock":3},{"sku":"L","options":{"Size":"L"},"price":{"currency":"GBP","amount":"2"},"stock":0}],"version":4}`+"\n\n"+
		`{"sku":"F","title":"Flat","price":3.10,"stock":"4","attr:Colour":"red","attributes":{"Wide":{"flag":true}}}`+"\n"+
		`{"title":"x"`+"\n"+
		`{"sku":"G","title":"Unknown","prize":1}`+"\n"+
		`{"id":"p2","title":{"en":"x"},"variants":[{"sku":"T","weight":1}]}`+"\n"+
		`["sku"]`+"\n"+
		`{"sku":"H","title":{"en":"x"}} trailing`+"\n"+
		`{"sku":"I","title":{"en":"x"}}`)
	codes := []string{}
	for _, b := range bad {
		codes = append(codes, fmt.Sprint(b.Line, " ", b.Code))
	}
	if want := []string{"4 bad_json", "5 unknown_member", "6 bad_document", "7 bad_json", "8 bad_json", "9 bad_value"}; !slices.Equal(codes, want) {
		t.Errorf("%q, want %q\n%v", codes, want, bad)
	}
	if s.prices["S"] != "1.50 GBP" || s.prices["L"] != "2 GBP" || s.prices["F"] != "3.10 GBP" || s.stock["S"] != 3 || s.stock["F"] != 4 {
		t.Errorf("%v %v", s.prices, s.stock)
	}
	if want := `{"id":"F","title":{"en":"Flat"},"variants":[{"sku":"F"}],"attributes":{"Colour":{"text":"red"},"Wide":{"flag":true}}}`; s.products["F"] != want {
		t.Errorf("%s", s.products["F"])
	}
}

func TestAShopThatAsksForPatienceGetsIt(t *testing.T) {
	s := newStub()
	refusals := map[string]int{"/api/products:batch": 2, "/api/channels": 1, "/api/stock:count": 1}
	s.before = func(path string) (int, string) {
		if refusals[path] > 0 {
			refusals[path]--
			return []int{429, 503}[refusals[path]%2], "0"
		}
		return 0, ""
	}
	summary, bad := imported(t, s, "c.csv", "sku,title,stock\nA,Mug,1\n")
	if len(bad) > 0 || summary.Created != 1 || s.calls["/api/products:batch"] != 3 {
		t.Errorf("%v %+v %v", bad, summary, s.calls)
	}
}

func TestAWrongKeyEndsTheImportAndSaysWhatToDo(t *testing.T) {
	shop := newStub().shop()
	shop.Key = "other"
	_, err := Import(t.Context(), Source{Name: "c.csv", Reader: strings.NewReader("sku,title\nA,B\n")}, shop, Options{})
	if err == nil || !strings.Contains(err.Error(), "--key") {
		t.Error(err)
	}
}

func TestOneOfABatchThatTheShopCannotTakeCostsOnlyItself(t *testing.T) {
	s := newStub()
	s.bodyMax = 4 << 10
	var file strings.Builder
	file.WriteString("sku,title,description\n")
	for i := range 100 {
		description := "short"
		if i == 42 {
			description = strings.Repeat("long", 2000)
		}
		fmt.Fprintf(&file, "S%d,Mug,%s\n", i, description)
	}
	summary, bad := imported(t, s, "c.csv", file.String())
	if summary.Created != 99 || len(bad) != 1 || bad[0].Line != 44 || bad[0].Code != "body_too_large" {
		t.Errorf("%+v %v", summary, bad)
	}
}

func TestAPriceInAnotherCurrencyIsToldAndTheProductStays(t *testing.T) {
	s := newStub()
	_, bad := imported(t, s, "c.csv", "sku,title,price,currency\nA,Mug,1.00,EUR\n")
	if len(bad) != 1 || bad[0].Code != "currency_mismatch" || s.products["A"] == "" {
		t.Errorf("%v", bad)
	}
	_, err := Import(t.Context(), Source{Name: "c.csv", Reader: strings.NewReader("sku,title\nA,B\n")}, s.shop(), Options{Channel: "shop"})
	if err == nil || !strings.Contains(err.Error(), `no channel "shop"; it has web`) {
		t.Error(err)
	}
}

// endless is a CSV file of n rows that is never whole in memory.
type endless struct {
	rows, next int
	rest       []byte
}

func (e *endless) Read(p []byte) (int, error) {
	for len(e.rest) < len(p) && e.next <= e.rows {
		if e.next == 0 {
			e.rest = append(e.rest, "sku,title,price,stock\n"...)
		} else {
			e.rest = fmt.Appendf(e.rest, "S%d,Thing %d,1.00,5\n", e.next, e.next)
		}
		e.next++
	}
	if len(e.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, e.rest)
	e.rest = append(e.rest[:0], e.rest[n:]...)
	return n, nil
}

func TestBatchesAreBoundedAndProgressIsTold(t *testing.T) {
	s := newStub()
	var told bytes.Buffer
	summary, err := Import(t.Context(), Source{Name: "x", Reader: &endless{rows: 2345}, Size: 60_000}, s.shop(), Options{Progress: &told, Terminal: true})
	if err != nil || summary.Created != 2345 || summary.Rows != 2345 || s.calls["/api/products:batch"] != 5 {
		t.Fatalf("%v %+v %v", err, summary, s.calls)
	}
	if !strings.Contains(told.String(), "\r2345 rows, ") {
		t.Errorf("%q", told.String())
	}
}

func TestACancelledImportEndsAndTellsHowFarItCame(t *testing.T) {
	s := newStub()
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int32
	s.before = func(path string) (int, string) {
		if path == "/api/products:batch" && calls.Add(1) > 6 {
			cancel()
			return 503, "1"
		}
		return 0, ""
	}
	summary, err := Import(ctx, Source{Name: "x", Reader: &endless{rows: 1 << 40}}, s.shop(), Options{})
	if !errors.Is(err, context.Canceled) || summary.Rows == 0 {
		t.Errorf("%v %+v", err, summary)
	}
}

func TestAQuarantineLiesInTheCurrentFolder(t *testing.T) {
	dir, here := t.TempDir(), t.TempDir()
	t.Chdir(here)
	path, quarantine := filepath.Join(dir, "c.csv"), filepath.Join(here, "c.csv.rejected.jsonl")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func() {
		if _, err := File(t.Context(), path, "", newStub().shop(), Options{}); err != nil {
			t.Fatal(err)
		}
	}
	write("sku,title\nA,\n")
	run()
	kept, err := os.ReadFile(quarantine)
	if err != nil || !strings.Contains(string(kept), `{"line":2,"code":"title_required","reason":"the row has no title","raw":"A,"}`) {
		t.Errorf("%v %s", err, kept)
	}
	write("sku,title\nA,Mug\n")
	run()
	if _, err := os.Stat(quarantine); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the quarantine of the run before is still there: %v", err)
	}
	if _, err := File(t.Context(), path, path, newStub().shop(), Options{}); err == nil {
		t.Error("a file was taken as its own quarantine")
	}
	device := filepath.Join(here, "device")
	if err := os.Symlink(os.DevNull, device); err != nil {
		t.Fatal(err)
	}
	if _, err := File(t.Context(), path, device, newStub().shop(), Options{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(device); err != nil {
		t.Errorf("a device was removed: %v", err)
	}
	if beside, err := os.ReadDir(dir); err != nil || len(beside) != 1 {
		t.Errorf("beside the file lie %v, %v", beside, err)
	}
}

func TestRowsAreTheSameHoweverTheFileIsCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"a", ",", "\"", "\"\"", "\r\n", "\n", "é", "\xff", " ", "A1,Mug\n", "\"q,\nq\"", "\r"})
		text := "sku,title\n" + strings.Join(rapid.SliceOfN(piece, 0, 40).Draw(t, "pieces"), "")
		whole := read(t, strings.NewReader(text))
		single := read(t, iotest.OneByteReader(strings.NewReader(text)))
		if fmt.Sprint(whole) != fmt.Sprint(single) {
			t.Fatalf("%q\nat once:      %v\nbyte by byte: %v", text, whole, single)
		}
		lines := 1
		for _, one := range whole {
			if one.line <= lines && lines > 1 {
				t.Fatalf("%q: line %d stands behind line %d", text, one.line, lines)
			}
			lines = one.line
		}
	})
}

type seen struct {
	line  int
	raw   string
	fault string
}

func read(t *rapid.T, from io.Reader) (found []seen) {
	rows, _, err := open(newWindow(from), "c.csv", "")
	if err != nil {
		t.Fatal(err)
	}
	for {
		next, err := rows.next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		one := seen{line: next.line, raw: next.raw}
		if next.fault != nil {
			one.fault = next.fault.code
		}
		found = append(found, one)
	}
}

func FuzzRows(f *testing.F) {
	f.Add("sku,title\nA,\"b\n\"\n", true)
	f.Add(`{"sku":"a","title":"b","price":{"amount":1}}`, false)
	f.Add(`{"variants":[{"sku":null}],"attributes":{"a":{"number":1e999}}}`, false)
	f.Fuzz(func(t *testing.T, text string, csv bool) {
		name := "x.jsonl"
		if csv {
			name, text = "x.csv", "sku,title,stock,attr:a:number\n"+text
		}
		in := newWindow(strings.NewReader(text))
		rows, _, err := open(in, name, "")
		if err != nil {
			return
		}
		for range len(text) + 2 {
			if _, err := rows.next(); err != nil {
				if in.taken() != int64(len(text)) {
					t.Fatalf("%d of %d bytes were read", in.taken(), len(text))
				}
				return
			}
		}
		t.Fatal("more rows than bytes")
	})
}

func BenchmarkImport(b *testing.B) {
	s := newStub()
	began := time.Now()
	b.ResetTimer()
	if _, err := Import(b.Context(), Source{Name: "x", Reader: &endless{rows: b.N}}, s.shop(), Options{}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "rows/s")
}

func Example() {
	shop := newStub().shop() // a running shop has an address: &Shop{URL: "http://127.0.0.1:8080", Key: key}
	file := "sku,title,price,stock\nMUG-1,Red Mug,4.50,7\nMUG-2,,4.50,7\n"
	summary, err := Import(context.Background(), Source{Name: "mugs.csv", Reader: strings.NewReader(file)}, shop, Options{Quarantine: os.Stdout})
	fmt.Println(summary.Created, "created,", summary.Quarantined, "quarantined,", err)
	// Output:
	// {"line":3,"code":"title_required","reason":"the row has no title","raw":"MUG-2,,4.50,7"}
	// 1 created, 1 quarantined, <nil>
}
