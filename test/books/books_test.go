package main

import (
	"bufio"
	"maps"
	"math/big"
	"os"
	"path/filepath"
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
		"3": {lines: map[int]int64{1: 2}, amount: big.NewRat(2550, 100)}, "1": {lines: map[int]int64{1: 2}, amount: big.NewRat(1275+1095, 100)},
		"2": {lines: map[int]int64{1: 2}, amount: big.NewRat(2190, 100)},
	} {
		if p := plans[id]; p == nil || !maps.Equal(p.lines, want.lines) || p.amount.Cmp(want.amount) != 0 {
			t.Errorf("of order %s comes back %+v, want %+v", id, p, want)
		}
	}
}

// refusing is a file of three cancellations of one order, and a shop that refused the first.
func refusing(t *testing.T) (*file, *shop) {
	f, _ := judged(t, `1,22423,REGENCY CAKESTAND,4,2010-12-01 08:00:00,12.75,17850,France
1,22424,ENAMEL CAKESTAND,2,2010-12-01 08:00:00,10.00,17850,France
C2,22423,REGENCY CAKESTAND,-3,2010-12-01 10:00:00,12.75,17850,France
C2,22424,ENAMEL CAKESTAND,-1,2010-12-01 10:00:00,10.00,17850,France
C3,22423,REGENCY CAKESTAND,-4,2010-12-01 11:00:00,12.75,17850,France
C4,22423,REGENCY CAKESTAND,-1,2010-12-01 12:00:00,12.75,17850,France
`)
	pounds := func(n int64) *big.Rat { return big.NewRat(n, 1) }
	o := &order{
		id: "ord_1", reference: "1", state: "confirmed", subject: "17850", total: pounds(71), captured: pounds(71), refunded: pounds(51),
		taken: pounds(71), given: pounds(51),
		lines: []orderLine{{"1", "22423", "4", "12.750000", "4", "4"}, {"2", "22424", "2", "10.000000", "2", "0"}},
	}
	return f, &shop{
		orders: []*order{o}, byID: map[string]*order{o.id: o}, refunds: map[string]*big.Rat{"ref_1": pounds(51)},
		returns: []*comeback{{
			id: "ret_1", order: o.id, reference: "C3", state: "received", refundID: "ref_1", subject: "17850", refund: pounds(51), lines: map[int]int64{1: 4},
		}},
	}
}

// toldOfRefusing is what the replay's report says of it.
const toldOfRefusing = `{
	"file": {"lines": 6, "invoices": 4, "products": 2, "pieces_received": 4}, "balanced": true,
	"plain_invoices": {"invoices": 1, "lines": 2, "asked": 1, "accepted": 1, "file": "71.00", "settled": "71.00", "difference": "0.00"},
	"cancellations": {
		"invoices": 3, "lines": 4, "asked": 2, "accepted": 1, "file": "112.00", "settled": "51.00", "difference": "0.00",
		"refused": [{"code": "too_many_returns", "count": 1, "lines": 2, "sum": "48.25"}],
		"quarantined": [{"code": "returned_already", "lines": 1, "sum": "12.75"}]
	}
}`

func TestARefusedReturn(t *testing.T) {
	for name, tt := range map[string]struct{ report, want string }{
		"as the report says":                         {toldOfRefusing, ""},
		"with another sum":                           {strings.Replace(toldOfRefusing, "48.25", "48.24", 1), "cancellations, refused"},
		"with another count":                         {strings.Replace(toldOfRefusing, `"count": 1`, `"count": 2`, 1), "cancellations, refused"},
		"of which the report says nothing":           {strings.Replace(toldOfRefusing, `{"code": "too_many_returns", "count": 1, "lines": 2, "sum": "48.25"}`, "", 1), "the report says nothing"},
		"without a report":                           {"", "1 returns of cancellations are not in the shop"},
		"that the report tells as what did not come": {strings.Replace(toldOfRefusing, "returned_already", "refused_here", 1), "quarantined"},
	} {
		t.Run(name, func(t *testing.T) {
			a := settle(refusing(t))
			a.equation()
			if tt.report == "" {
				a.unheard()
			} else {
				path := filepath.Join(t.TempDir(), "report.json")
				if err := os.WriteFile(path, []byte(tt.report), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := a.compare(path); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(a.told, "\n"); tt.want == "" != (a.faults == 0) || !strings.Contains(got, tt.want) {
				t.Errorf("%d faults, want %q:\n%s", a.faults, tt.want, got)
			}
		})
	}
}

func TestAReturnThatTheShopHasBesideTheFileIsAFault(t *testing.T) {
	f, s := refusing(t)
	s.returns = append(s.returns, &comeback{id: "ret_2", order: "ord_1", reference: "C4", state: "received", refund: new(big.Rat), lines: map[int]int64{1: 1}})
	if a := settle(f, s); a.faults != 1 || !strings.Contains(a.told[0], "ret_2") {
		t.Errorf("%d faults: %v", a.faults, a.told)
	}
}
