package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"

// dirt is a file in which everything is wrong that may be, beside what is right. Stock is
// what plain invoices take less 2 %, so that of 22423 one piece is missing, and of the
// others what was found makes up for it.
const dirt = head +
	"536365,22423,REGENCY CAKESTAND 3 TIER,2,2010-12-01 08:26:00,12.75,17850,United Kingdom\n" +
	"536365,85123A,WHITE HANGING HEART,100,2010-12-01 08:26:00,2.55,17850,United Kingdom\n" +
	"536365,POST,POSTAGE,1,2010-12-01 08:27:00,18.0,17850,United Kingdom\n" +
	"536365,85123A,WHITE HANGING HEART,10,2010-12-01 08:26:00,2.95,17850,United Kingdom\n" +
	"536366,85123a,WHITE HANGING HEART,50,2010-12-01 09:00:00,5.95,,EIRE\n" +
	"536366,85123A,damages,-7,2010-12-01 09:00:00,0,,EIRE\n" +
	"536366,84879,ASSORTED BIRD,1,2010-12-01 09:00:00,0.001,,EIRE\n" +
	"536366,84879,ASSORTED BIRD,40,2010-12-01 09:00:00,0,,EIRE\n" +
	"536367,84879,found,10,2010-12-01 09:10:00,0,,EIRE\n" +
	"536367,85123A,found,40,2010-12-01 09:10:00,0,,EIRE\n" + // with these there is enough
	"536368,21134,?,10,2010-12-01 09:11:00,0,,EIRE\n" +
	"536369,84879,ASSORTED BIRD,50,2010-12-01 09:12:00,1.69,12345,Unspecified\n" +
	"C536370,85123A,WHITE HANGING HEART,-105,2010-12-01 10:00:00,2.55,17850,United Kingdom\n" + // 100 at 2.55, 5 of the dearer
	"C536370,D,Discount,-1,2010-12-01 10:00:00,27.50,17850,United Kingdom\n" +
	"C536370,85123A,WHITE HANGING HEART,-5,2010-12-01 10:00:00,2.96,17850,United Kingdom\n" + // dearer than any sale
	"C536370,22423,REGENCY CAKESTAND 3 TIER,-3,2010-12-01 10:00:00,12.75,17850,United Kingdom\n" + // more than was bought
	"C536371,85123A,WHITE HANGING HEART,-1,2010-12-01 10:00:00,2.55,,United Kingdom\n" +
	"C536372,85123A,WHITE HANGING HEART,-6,2010-12-01 11:00:00,2.55,17850,United Kingdom\n" + // 5 are left
	"536373,22423,REGENCY CAKESTAND 3 TIER,48,2010-12-01 12:00:00,10.95,17850,EIRE\n" + // one is missing
	"536374,85123A,\"WHITE HANGING HEART,1,2010-12-01 12:00:00,2.55,17850,EIRE\n" +
	"C536375,22423,REGENCY CAKESTAND 3 TIER,-4,2010-12-01 13:00:00,10.95,17850,EIRE\n" + // refused here
	"C536376,22423,REGENCY CAKESTAND 3 TIER,-2,2010-12-01 13:00:00,10,17850,EIRE\n" +
	"A536377,B,Adjust bad debt,1,2010-12-01 14:00:00,-11062.06,,United Kingdom\n"

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trade.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines writes counts of a report as people would.
func lines(counts []Count) string {
	var all []string
	for _, c := range counts {
		all = append(all, fmt.Sprintf("%s %d %s", c.Code, c.Lines, c.Sum.String()))
	}
	return strings.Join(all, ", ")
}

func TestAFileFullOfDirt(t *testing.T) {
	s := newStub(1)
	var quarantine bytes.Buffer
	r, err := Run(t.Context(), written(t, dirt), s.shop(), Options{Quarantine: &quarantine})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Balanced || !r.Complete {
		t.Errorf("the books do not balance: %+v", r)
	}
	got := map[string]string{
		"taken": r.Plain.Settled.String(), "refused": lines(r.Plain.Refused), "quarantined": lines(r.Plain.Quarantined),
		"refunded": r.Canceled.Settled.String(), "not covered": lines(r.Canceled.Quarantined), "accepted": fmt.Sprint(r.Plain.Accepted, r.Canceled.Accepted),
		"unreadable": fmt.Sprint(r.Unread[0].Code, r.Unread[0].Lines), "countries": fmt.Sprint(s.users),
	}
	want := map[string]string{
		"taken":       "692.00", // 2 × 12.75 + 100 × 2.55 + 10 × 2.95 + 50 × 5.95 + 50 × 1.69
		"refused":     "nothing_to_pay 2 0.00, sold_out 1 525.60",
		"quarantined": "excess_digits 1 0.001, negative_quantity 1 0.00, never_sold 1 0.00, no_stock_number 2 -11044.06",
		"refunded":    "287.75", // 105 × 2.55 + 2 × 10
		"not covered": "before_the_file 1 38.25, no_customer 1 2.55, no_stock_number 1 27.50, price_above_sales 1 14.80, refused_here 1 43.80, returned_already 1 15.30",
		"accepted":    "3 2",
		"unreadable":  "bad_form1",
		"countries":   "map[12345: 17850:IE guest-536366:IE guest-536367:IE]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	if kept := strings.Count(quarantine.String(), "\n"); kept != 12 {
		t.Errorf("the quarantine has %d lines:\n%s", kept, &quarantine)
	}
	var text bytes.Buffer
	r.Write(&text)
	if !strings.Contains(text.String(), "the books balance to the penny: 3 orders confirmed, 1 rejected") {
		t.Errorf("it says:\n%s", &text)
	}
}

func TestLostAnswersChangeNothing(t *testing.T) {
	file := written(t, trade(300))
	whole := newStub(1)
	var want *Report
	synctest.Test(t, func(t *testing.T) {
		var err error
		if want, err = Run(t.Context(), file, whole.shop(), Options{Concurrency: 1}); err != nil || !want.Balanced {
			t.Fatalf("%v %+v", err, want)
		}
	})
	if want.Plain.Accepted < 100 || len(want.Plain.Refused) == 0 || want.Canceled.Accepted < 10 || len(want.Canceled.Quarantined) < 2 {
		t.Fatalf("the file shows too little: %+v", want)
	}
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			s := newStub(seed)
			s.lossy = 0.1
			got, err := Run(t.Context(), file, s.shop(), Options{Concurrency: 1})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(whole.state(), s.state()); diff != "" || !got.Balanced {
				t.Errorf("with lost answers the shop is another (balanced %v):\n%s", got.Balanced, diff)
			}
		})
	}
}

// trade is a file of customers who buy and send back, with seldom enough of everything.
func trade(invoices int) string {
	var b strings.Builder
	b.WriteString(head)
	at := time.Date(2011, 1, 4, 8, 0, 0, 0, time.UTC)
	for i := range invoices {
		at = at.Add(7 * time.Minute)
		customer := fmt.Sprint(12346 + i*i%23)
		if i%11 == 0 {
			customer = ""
		}
		number, sign := fmt.Sprint(540000+i), ""
		if i%5 == 4 {
			number, sign = "C"+number, "-"
		}
		many := 1
		if i%40 == 39 && sign == "" || i == invoices-2 {
			many = 50
		}
		for n := range 1 + i%7 {
			fmt.Fprintf(&b, "%s,%d,THING NUMBER %d,%s%d,%s,%d.%d5,%s,France\n", number, 20000+(i*n+n)%17, n, sign, many*(1+(i+n*n)%6),
				at.Format(time.DateTime), 1+n%3, i%2, customer)
		}
	}
	return b.String()
}

func TestAKilledReplayGoesOn(t *testing.T) {
	file := written(t, trade(300))
	whole := newStub(1)
	synctest.Test(t, func(t *testing.T) {
		if r, err := Run(t.Context(), file, whole.shop(), Options{Concurrency: 1}); err != nil || !r.Balanced {
			t.Fatalf("%v %+v", err, r)
		}
	})
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("with its state %v", kept), func(t *testing.T) {
			s, state := newStub(2), ""
			if kept {
				state = filepath.Join(t.TempDir(), "state.jsonl")
			}
			synctest.Test(t, func(t *testing.T) { killed(t, file, s, state) })
			if diff := cmp.Diff(whole.state(), s.state()); diff != "" {
				t.Errorf("the shop is another:\n%s", diff)
			}
		})
	}
}

// killed replays a file and is ended again and again on its way.
func killed(t *testing.T, file string, s *stub, state string) {
	kills, last := 0, 40
	for ; ; kills++ {
		ctx, cancel := context.WithCancel(t.Context())
		effects := 0
		s.after = func(string) {
			if effects++; effects == last {
				cancel()
			}
		}
		r, err := Run(ctx, file, s.shop(), Options{Concurrency: 1, State: state})
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || r.Complete || r.Balanced {
			t.Fatalf("a killed replay ended with %v: %+v", err, r)
		}
		if state == "" {
			last += 70 // as each run begins anew
		}
	}
	if kills < 5 {
		t.Fatalf("it was killed %d times", kills)
	}
	s.after = nil
	before := s.calls["POST /api/desk"]
	r, err := Run(t.Context(), file, s.shop(), Options{Concurrency: 1, State: state})
	if err != nil || !r.Balanced {
		t.Fatalf("%v %+v", err, r)
	}
	if asked := s.calls["POST /api/desk"] - before; state != "" && (asked > 0 || r.Runs != kills+2) {
		t.Errorf("run %d, after %d kills, asked for %d orders", r.Runs, kills, asked)
	}
}

func TestManyAtOnceKeepTheOrderOfACustomer(t *testing.T) {
	s := newStub(3)
	r, err := Run(t.Context(), written(t, trade(600)), s.shop(), Options{Concurrency: 24})
	if err != nil || !r.Balanced {
		t.Fatalf("%v %+v", err, r)
	}
	last := map[string]string{}
	for _, o := range s.orders {
		if o.soldAt < last[o.subject] {
			t.Errorf("%s bought at %s after %s", o.subject, o.soldAt, last[o.subject])
		}
		last[o.subject] = o.soldAt
	}
}

func TestPiecesOfARefusedReturnAreStillThere(t *testing.T) {
	file := written(t, head+
		"1,22423,REGENCY CAKESTAND,4,2010-12-01 08:00:00,12.75,17850,France\n"+
		"2,22423,REGENCY CAKESTAND,3,2010-12-01 09:00:00,10.95,17850,France\n"+
		"3,22423,found,60,2010-12-01 09:30:00,0,,France\n"+
		"C4,22423,REGENCY CAKESTAND,-5,2010-12-01 10:00:00,10.95,17850,France\n"+ // 3 of invoice 2, 2 of invoice 1
		"C5,22423,REGENCY CAKESTAND,-6,2010-12-01 11:00:00,10.95,17850,France\n"+ // 3 and 3
		"C6,22423,REGENCY CAKESTAND,-1,2010-12-01 12:00:00,12.75,17850,France\n")
	s, state := newStub(1), filepath.Join(t.TempDir(), "state.jsonl")
	s.never = "C4"
	for run := range 2 { // the second reads it from the state
		r, err := Run(t.Context(), file, s.shop(), Options{State: state})
		if err != nil || !r.Balanced {
			t.Fatalf("%v %+v", err, r)
		}
		if got := lines(r.Canceled.Refused); got != "too_many_returns 2 54.75" || r.Canceled.Accepted != 3 || r.Canceled.Settled.String() != "78.45" {
			t.Errorf("run %d: refused %s, accepted %d, refunded %s", run, got, r.Canceled.Accepted, r.Canceled.Settled)
		}
	}
	if first, second := s.orders[0], s.orders[1]; first.lines[0].returned != 4 || second.lines[0].returned != 3 || first.refunded.String() != "45.60" {
		t.Errorf("of the orders came back %+v and %+v", first, second)
	}
}

func TestALongInvoiceBecomesSeveralOrders(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range 4345 {
		fmt.Fprintf(&b, "573585,%d,THING,100,2011-10-31 14:41:00,1.%02d,12346,France\n", 20000+i, i%100)
	}
	// Line 2,500 of the invoice is line 500 of its second order.
	b.WriteString("C573586,22499,THING,-3,2011-10-31 15:41:00,1.99,12346,France\n")
	s := newStub(1)
	s.stock["20000"], s.stock["22000"], s.stock["24000"] = 9, 9, 9
	for i := range 4345 {
		s.stock[fmt.Sprint(20000+i)] += 2 // what is received is less than what is sold
	}
	r, err := Run(t.Context(), written(t, b.String()), s.shop(), Options{})
	if err != nil || !r.Balanced || r.Plain.Accepted != 3 || r.Canceled.Accepted != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	if second := s.orders[1]; second.reference != "573585.2" || len(second.lines) != 2000 || second.lines[499].returned != 3 {
		t.Errorf("the second order is %s with %d lines, of which line 500 is %+v", second.reference, len(second.lines), second.lines[499])
	}
}

func TestWhatCannotBeReplayed(t *testing.T) {
	file := written(t, dirt)
	state := func(text string) string {
		path := filepath.Join(t.TempDir(), "state.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b, err := open(file, "GBP", newProgress(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := json.Marshal(header{Replay: b.sum})
	tests := []struct {
		name, file, state, want string
		shop                    func(*Shop)
	}{
		{name: "a file of something else", file: written(t, "sku,title\nA,B\n"), want: "does not name the columns"},
		{name: "a state of another file", file: file, state: state(`{"souk_replay":"other"}` + "\n"), want: "of another file"},
		{name: "a state that is none", file: file, state: state("InvoiceNo,StockCode\n"), want: "is left as it is"},
		{name: "a damaged state", file: file, state: state(string(ours) + "\n{\n"), want: "it is safe to remove the state"},
		{
			name: "a state of another shop", file: file, want: "of another shop",
			state: state(string(ours) + "\n" + `{"invoice":"536365","lines":4,"parts":[{"id":"ord_elsewhere"}]}` + "\n"),
		},
		{name: "a wrong key", file: file, want: "give the staff key", shop: func(s *Shop) { s.Key = "other" }},
		{name: "a shop that is down", file: file, want: "no success within", shop: func(s *Shop) { s.Client, s.URL = nil, "http://127.0.0.1:1" }},
		{name: "no product in the file", file: written(t, head+"1,POST,POSTAGE,1,2010-12-01 08:26:00,2.55,,France\n"), want: "sells no product"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shop := newStub(1).shop()
			if tt.shop != nil {
				tt.shop(&shop)
			}
			before, _ := os.ReadFile(tt.state) // none without a state
			_, err := Run(t.Context(), tt.file, shop, Options{State: tt.state, Patience: 200 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
			if after, _ := os.ReadFile(tt.state); !bytes.HasPrefix(after, before) {
				t.Errorf("the state was %q and is %q", before, after)
			}
		})
	}
}

func TestALineThatAKillCutOffIsDropped(t *testing.T) {
	file, state := written(t, trade(60)), filepath.Join(t.TempDir(), "state.jsonl")
	s := newStub(1)
	if _, err := Run(t.Context(), file, s.shop(), Options{State: state}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, text[:len(text)-9], 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), file, s.shop(), Options{State: state})
	if err != nil || !r.Balanced || r.Runs != 2 {
		t.Fatalf("%v %+v", err, r)
	}
	if r, err = Run(t.Context(), file, s.shop(), Options{State: state}); err != nil || r.Runs != 3 || r.Run.Orders != 0 {
		t.Errorf("%v: run %d asked for %d orders", err, r.Runs, r.Run.Orders)
	}
}

func TestAShopThatSaysSomethingElseIsFoundOut(t *testing.T) {
	for name, change := range map[string]func(s *stub){
		"too little was taken":    func(s *stub) { s.orders[0].captured -= 10_000 },
		"too much was given back": func(s *stub) { s.orders[0].refunded += 10_000 },
		"an order is gone":        func(s *stub) { s.orders = s.orders[1:] },
		"an order is there twice": func(s *stub) { s.orders = append(s.orders, s.orders[0]) },
		"an order was rejected":   func(s *stub) { s.orders[0].state = "rejected" },
	} {
		t.Run(name, func(t *testing.T) {
			file, state, s := written(t, trade(40)), filepath.Join(t.TempDir(), "state.jsonl"), newStub(1)
			if r, err := Run(t.Context(), file, s.shop(), Options{State: state}); err != nil || !r.Balanced {
				t.Fatalf("%v %+v", err, r)
			}
			change(s)
			d := &drive{book: &book{}, progress: newProgress(Options{})}
			d.api = newAPI(s.shop(), Options{}, d.progress)
			var err error
			if d.book, err = open(file, "GBP", newProgress(Options{})); err != nil {
				t.Fatal(err)
			}
			if d.journal, err = openJournal(state, d.book.sum); err != nil {
				t.Fatal(err)
			}
			d.options.Concurrency, d.options.Channel, d.currency = 1, "web", "GBP"
			if err := d.invoices(t.Context()); err != nil {
				t.Fatal(err)
			}
			f, err := d.figures(t.Context())
			if err != nil || f.allDifferences == 0 {
				t.Errorf("%v: it was not noticed: %+v", err, f.differences)
			}
			if err := d.journal.close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestSpeedKeepsTheFilesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := written(t, trade(200)) // 199 times 7 minutes
		s, began := newStub(1), time.Now()
		if _, err := Run(t.Context(), file, s.shop(), Options{Speed: 60}); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(began), 199*7*time.Second; took < want || took > want+time.Minute {
			t.Errorf("it took %v, want about %v", took, want)
		}
	})
}

func TestMember(t *testing.T) {
	for object, want := range map[string]string{
		`{"id":"a"}`: "a", `{"x":{"id":"no"},"y":["id","no"],"z":"id","id" : "b"}`: "b", `{"q":"\"id\":\"no\"","id":"c"}`: "c",
		`{"id":7}`: "", `{}`: "", `{"id"`: "", `{"id":"`: "", ``: "", `[{"id":"no"}]`: "",
	} {
		if got := member([]byte(object), "id"); got != want {
			t.Errorf("in %s it is %q, want %q", object, got, want)
		}
	}
}
