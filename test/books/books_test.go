package main

import (
	"bufio"
	"maps"
	"math/big"
	"strings"
	"testing"
)

const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// judged reads a file and gives the reason of each row by its line, "" for a good one.
func judged(t *testing.T, text string) (*file, map[int]string) {
	t.Helper()
	f, err := read(bufio.NewReader(strings.NewReader(head + text)))
	if err != nil {
		t.Fatal(err)
	}
	f.judge(2)
	reasons := map[int]string{}
	for _, b := range f.bills {
		for _, r := range b.rows {
			reasons[r.number] = r.reason
		}
	}
	return f, reasons
}

func TestRules(t *testing.T) {
	f, got := judged(t, `1,22423,REGENCY CAKESTAND,2,2010-12-01 08:26:00,12.75,17850,France
1,POST,POSTAGE,1,2010-12-01 08:26:00,18,17850,France
1,23444,Next Day Carriage,1,2010-12-01 08:26:00,15,17850,France
1,22423,damages,-1,2010-12-01 08:26:00,0,17850,France
1,22423,REGENCY CAKESTAND,1,2010-12-01 08:26:00,0.001,17850,France
1,21134,?,1,2010-12-01 08:26:00,0,17850,France
1,21135,lost,1,2010-12-01 08:26:00,1,17850,France
C2,22423,"REGENCY ""CAKE"", STAND",-1,2010-12-01 08:26:00,12.75,,France
1,22423,"REGENCY,1,2010-12-01 08:26:00,12.75,17850,France
1,22423,REGENCY,one,2010-12-01 08:26:00,12.75,17850,France
`)
	want := map[int]string{
		2: "", 3: "no_stock_number", 4: "service", 5: "negative_quantity", 6: "excess_digits", 7: "never_sold", 8: "no_title", 9: "no_customer",
	}
	if !maps.Equal(got, want) || f.unread["bad_form"] != 1 || f.unread["bad_number"] != 1 || f.received != 2 {
		t.Errorf("got %v, unread %v, received %d", got, f.unread, f.received)
	}
}

func TestCover(t *testing.T) {
	f, _ := judged(t, `1,22423,REGENCY CAKESTAND,2,2010-12-01 08:26:00,12.75,17850,France
2,22423,REGENCY CAKESTAND,2,2010-12-02 08:26:00,10.95,17850,France
3,22423,REGENCY CAKESTAND,2,2010-12-03 08:26:00,12.75,17850,France
4,22423,REGENCY CAKESTAND,9,2010-12-04 08:26:00,12.75,17850,France
C5,22423,REGENCY CAKESTAND,-3,2010-12-05 08:26:00,12.75,17850,France
C5,22423,REGENCY CAKESTAND,-3,2010-12-05 08:26:00,10.95,17850,France
C5,22423,REGENCY CAKESTAND,-1,2010-12-05 08:26:00,10.95,17850,France
C5,22423,REGENCY CAKESTAND,-10,2010-12-05 08:26:00,10.95,17850,France
C5,22423,REGENCY CAKESTAND,-16,2010-12-05 08:26:00,10.95,17850,France
`)
	sales := f.bills[:4]
	for i, b := range sales {
		b.orders = []*order{{id: b.number}}
		if i == 3 {
			b.orders[0] = nil // it was refused
			continue
		}
		b.rows[0].left = b.rows[0].quantity
	}
	plans := map[string]*plan{}
	var reasons []string
	for _, r := range f.bills[4].rows {
		reasons = append(reasons, cover(r, sales, plans))
	}
	if got := strings.Join(reasons, ", "); got != ", , returned_already, refused_here, before_the_file" {
		t.Errorf("the rows are covered so: %s", got)
	}
	// Three at 12.75: two of the newest, one of the first. Then two at 10.95, and the dearer one for 10.95.
	for id, want := range map[string]*plan{
		"3": {map[int]int64{1: 2}, big.NewRat(2550, 100)}, "1": {map[int]int64{1: 2}, big.NewRat(1275+1095, 100)}, "2": {map[int]int64{1: 2}, big.NewRat(2190, 100)},
	} {
		if p := plans[id]; p == nil || !maps.Equal(p.lines, want.lines) || p.amount.Cmp(want.amount) != 0 {
			t.Errorf("of order %s comes back %+v, want %+v", id, p, want)
		}
	}
}
