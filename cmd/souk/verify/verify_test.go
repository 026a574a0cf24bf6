package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/cmd/souk/verify"
)

// check runs a check in a bubble of its own time.
func check(t *testing.T, s *stub, o verify.Options) (report *verify.Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if report, err = verify.Check(t.Context(), s.client(t), o); err != nil {
			t.Fatal(err)
		}
	})
	return report
}

// broken lists what a report calls broken: "3 rule subject".
func broken(r *verify.Report) (all []string) {
	for _, g := range r.Guarantees {
		for _, f := range g.Broken {
			all = append(all, fmt.Sprintf("%d %s %s", f.Guarantee, f.Rule, f.Subject))
		}
	}
	return all
}

func TestTheBooksOfAGoodShopHold(t *testing.T) {
	s := newStub(t)
	report := check(t, s, verify.Options{Acknowledged: []verify.Acknowledged{{Order: "ord_1", State: "confirmed"}, {Order: "ord_2"}}})
	if !report.Holds || !report.Complete || report.Orders != 13 || len(report.Rooms) != 9 {
		t.Fatalf("report is %+v", report)
	}
	var marks []verify.Mark
	for _, g := range report.Guarantees {
		marks = append(marks, g.Mark)
	}
	h := verify.Holds
	if diff := cmp.Diff([]verify.Mark{h, h, h, h, verify.NotApplicable, h, h, h}, marks); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	if n := s.asked["/api/audit/orders"]; n != 1 {
		t.Errorf("orders was asked for its findings %d times, once is enough in a shop at rest", n)
	}
}

// planted are violations, one rule each, and what verify must call them.
var planted = []struct {
	name  string
	plant func(*stub)
	want  string
}{
	{"an acknowledged order is gone", func(s *stub) {
		s.Orders = slices.DeleteFunc(s.Orders, func(o *orderRow) bool { return o.ID == "ord_2" })
	}, "1 acknowledged_order_exists ord_2"},
	{"an acknowledged order is not what was told", func(s *stub) {
		o := s.order("ord_1")
		o.State, o.Intent = "rejected", ""
		s.Holds, s.Intents, s.Sent = s.Holds[1:], s.Intents[1:], s.Sent[1:]
		s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "5.50", "-5.50"
	}, "1 acknowledged_order_is_as_told ord_1"},
	{"an order is there twice", func(s *stub) {
		s.Orders = append(s.Orders, s.order("ord_1"))
	}, "1 order_is_listed_once ord_1"},
	{"a hold has no order", func(s *stub) {
		s.Holds = append(s.Holds, &holdRow{Order: "ord_0", State: "held", Lines: []lineRow{{"A", "main", 1}}})
	}, "2 hold_has_order ord_0"},
	{"an allocation has no order", func(s *stub) {
		s.Holds = append(s.Holds, &holdRow{Order: "ord_9", State: "allocated", Lines: []lineRow{{"A", "main", 1}}})
	}, "2 hold_has_order ord_9"},
	{"an undecided order is allocated", func(s *stub) { s.hold("ord_5").State = "allocated" }, "2 allocation_has_confirmed_order ord_5"},
	{"a rejected order still holds, and nobody will release it", func(s *stub) {
		s.Holds = append(s.Holds, &holdRow{Order: "ord_2", State: "held", Lines: []lineRow{{"B", "main", 9}}})
	}, "2 rejected_order_holds_nothing ord_2"},
	{"an abandoned run left its hold", func(s *stub) {
		s.order("ord_7").RunState = "abandoned"
		s.Runs = slices.Delete(s.Runs, 2, 3)
	}, "2 rejected_order_holds_nothing ord_7"},
	{"a confirmed order is not allocated", func(s *stub) { s.hold("ord_1").State = "held" }, "2 confirmed_order_is_allocated ord_1"},
	{"a confirmed order holds nothing", func(s *stub) { s.hold("ord_1").State = "released" }, "2 allocation_is_what_was_ordered ord_1"},
	{"a confirmed order has too little", func(s *stub) { s.hold("ord_1").Lines[0].Quantity = 0 }, "2 allocation_is_what_was_ordered ord_1"},
	{"a confirmed order has too much", func(s *stub) { s.hold("ord_4").Lines[0].Quantity = 2 }, "2 allocation_is_what_was_ordered ord_4"},
	{"a confirmed order has what it did not ask for", func(s *stub) { s.hold("ord_4").Lines[0].SKU = "C" }, "2 allocation_is_what_was_ordered ord_4"},
	{"a room finds its stock wrong", func(s *stub) {
		s.find("inventory", findingRow{2, "on_hand_is_sum_of_movements", "A main", "3 on hand, the movements sum to 4"})
	}, "2 on_hand_is_sum_of_movements A main"},
	{"a confirmed order is not paid", func(s *stub) {
		s.intent("pay_1").State = "voided"
		s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "5.50", "-5.50"
	}, "3 confirmed_order_is_paid ord_1"},
	{"an order is charged twice", func(s *stub) {
		s.Intents = append(s.Intents, &intentRow{ID: "pay_8", Order: "ord_1", State: "authorized", Amount: money{"GBP", "12.00"}, Updated: "2026-01-01T00:00:08Z"})
		s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "29.50", "-29.50"
	}, "3 confirmed_order_is_paid_once ord_1; 3 one_live_intent_per_order ord_1"},
	{"an undecided order has two payments that may hold money", func(s *stub) {
		s.Intents = append(s.Intents, &intentRow{ID: "pay_8", Order: "ord_5", State: "unknown", Amount: money{"GBP", "3.00"}, Updated: "2026-01-01T00:00:08Z"})
	}, "3 one_live_intent_per_order ord_5"},
	{"a payment is not the order's total", func(s *stub) {
		s.intent("pay_1").Amount.Amount = "11.99"
		s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "17.49", "-17.49"
	}, "3 intent_is_the_orders_total ord_1"},
	{"a payment is in another currency", func(s *stub) {
		s.intent("pay_4").Amount.Currency = "EUR"
		s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "12.00", "-12.00"
		s.Accounts = append(s.Accounts, &accountRow{"authorized_hold", money{"EUR", "5.50"}, 1}, &accountRow{"customer", money{"EUR", "-5.50"}, 1})
	}, "3 intent_is_the_orders_total ord_4"},
	{"an order names a payment that is not its own", func(s *stub) { s.order("ord_1").Intent = "pay_4" }, "3 order_names_its_intent ord_1"},
	{"a rejected order is paid for", func(s *stub) {
		s.intent("pay_3").State = "authorized"
		s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "29.50", "-29.50"
	}, "3 rejected_order_is_not_paid ord_3"},
	{"a payment has no order", func(s *stub) {
		s.Intents = append(s.Intents, &intentRow{ID: "pay_8", Order: "ord_0", State: "declined", Amount: money{"GBP", "12.00"}, Updated: "2026-01-01T00:00:08Z"})
	}, "3 intent_has_order ord_0"},
	{"the ledger does not add up", func(s *stub) { s.Accounts[2].Balance.Amount = "-17.49" }, "3 ledger_adds_up_to_nothing GBP"},
	{"the ledger holds more than is authorized", func(s *stub) {
		s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "17.51", "-17.51"
	}, "3 ledger_holds_what_is_authorized GBP"},
	{"the ledger holds less than is authorized", func(s *stub) {
		s.Accounts = append([]*accountRow{s.Accounts[1], s.Accounts[3]}, s.Accounts[4:]...)
	}, "3 ledger_holds_what_is_authorized GBP"},
	{"the provider's journal says otherwise", func(s *stub) {
		s.find("payments", findingRow{3, "intent_matches_provider", "pay_1", "the provider says \"voided\""})
	}, "3 intent_matches_provider pay_1"},
	{"an undecided order has no run", func(s *stub) {
		s.order("ord_5").RunState = ""
		s.Runs = s.Runs[1:]
	}, "4 pending_order_has_living_run ord_5"},
	{"an undecided order's run has ended", func(s *stub) {
		s.order("ord_5").RunState = "done"
		s.Runs = s.Runs[1:]
	}, "4 pending_order_has_living_run ord_5"},
	{"a run has no order", func(s *stub) { s.Runs = append(s.Runs, &runRow{ID: "ord_0", State: "running"}) }, "4 run_has_order ord_0"},
	{"a run of a decided order goes on", func(s *stub) {
		s.find("orders", findingRow{4, "run_ends_or_is_parked", "ord_1", "the run is running"})
	}, "4 run_ends_or_is_parked ord_1"},
	{"a coupon is redeemed too often", func(s *stub) {
		s.find("pricing", findingRow{5, "coupon_within_limit", "SPRING", "redeemed 3 times, 2 allowed"})
	}, "5 coupon_within_limit SPRING"},
	{"a consumer stands still", func(s *stub) { s.consumer("carts.orders").Position = 19 }, "6 consumer_reaches_its_sources_head carts.orders"},
	{"a list does not say what the events say", func(s *stub) {
		s.find("orders", findingRow{7, "order_view_is_fold", "ord_1", "the list says pending"})
	}, "7 order_view_is_fold ord_1"},
	{"the catalog shows another price", func(s *stub) { s.offer("A", "web").Price.Amount = "4.99" }, "7 offer_is_the_price A web"},
	{"the catalog shows a price in another currency", func(s *stub) { s.offer("A", "trade").Price.Currency = "EUR" }, "7 offer_is_the_price A trade"},
	{"the catalog ends a price at another hour", func(s *stub) { s.offer("B", "web").Until = "" }, "7 offer_is_the_price B web"},
	{"the catalog shows a price that was replaced long ago", func(s *stub) { s.price("C", "web").Revision = 2 }, "7 offer_is_the_price C web"},
	{"the catalog shows a price that is still to come", func(s *stub) { s.offer("B", "web").PriceRevision = 3 }, "7 offer_is_the_price B web"},
	{"the catalog shows a price that pricing does not have", func(s *stub) { s.Prices = s.Prices[1:] }, "7 offer_is_the_price A trade"},
	{"the catalog lacks all of a SKU", func(s *stub) { s.Offers = s.Offers[2:] }, "7 offer_is_the_price A trade; 7 offer_is_the_price A web; 7 offer_is_the_stock A"},
	{"the catalog shows other stock", func(s *stub) { s.offer("A", "trade").Available, s.offer("A", "web").Available = 8, 8 }, "7 offer_is_the_stock A"},
	{"the catalog offers what is not to be had", func(s *stub) { s.offer("D", "").Backorder = true }, "7 offer_is_the_stock D"},
	{"the catalog shows stock that was sold long ago", func(s *stub) { s.figure("B").Revision, s.figure("B").Available = 5, -2 }, "7 offer_is_the_stock B"},
	{"the catalog shows stock that nobody spoke of", func(s *stub) { s.offer("C", "web").StockRevision = 1 }, "7 offer_is_the_stock C"},
	{"a total does not add up", func(s *stub) {
		s.find("orders", findingRow{8, "totals_add_up", "ord_1", "lines come to 1199"})
	}, "8 totals_add_up ord_1"},
}

func TestAPlantedViolationIsNamed(t *testing.T) {
	for _, tt := range planted {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub(t)
			tt.plant(s)
			report := check(t, s, verify.Options{Acknowledged: []verify.Acknowledged{{Order: "ord_1", State: "confirmed"}, {Order: "ord_2"}}})
			if diff := cmp.Diff(strings.Split(tt.want, "; "), broken(report)); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			if report.Holds {
				t.Error("the report says that the books hold")
			}
		})
	}
}

// after runs do once, before the nth request of a path.
func (s *stub) after(path string, n int, do func()) {
	before := s.before
	s.before = func(asked string) {
		if before != nil {
			before(asked)
		}
		if asked == path && s.asked[path] == n {
			do()
		}
	}
}

// confirm moves an order on as orders, payments and inventory do, all at once.
func (s *stub) confirm(order, intent string) {
	o := s.order(order)
	o.State, o.RunState, o.Intent = "confirmed", "done", intent
	s.intent(intent).State, s.intent(intent).Updated = "authorized", "2026-01-01T00:01:00Z"
	s.hold(order).State = "allocated"
	s.Sent = append(s.Sent, &shipmentRow{order, "open", []sentLineRow{{1, "A", 1, 0}}})
	s.Runs = slices.DeleteFunc(s.Runs, func(r *runRow) bool { return r.ID == order })
	s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "20.50", "-20.50"
}

const (
	facts    = "/api/audit/orders/facts"
	holds    = "/api/audit/inventory/holds"
	intents  = "/api/payments"
	captures = "/api/captures"
	refunds  = "/api/refunds"
	sent     = "/api/shipments"
	ledger   = "/api/ledger/accounts"
	prices   = "/api/audit/pricing/prices"
	figures  = "/api/audit/inventory/figures"
	offers   = "/api/audit/catalog/offers"
)

// moving are shops that trade while they are read.
var moving = []struct {
	name   string
	move   func(*stub)
	flight string // what must be listed as in flight, "" for whatever
}{
	{"an order is confirmed after the orders were read", func(s *stub) {
		s.after(facts, 4, func() { s.confirm("ord_5", "pay_5") })
	}, ""},
	{"an order is confirmed between its payment's reading and the ledger's", func(s *stub) {
		s.after(ledger, 1, func() { s.confirm("ord_5", "pay_5") })
	}, "orders undecided, or being undone"},
	{"an order is confirmed while payments are read", func(s *stub) {
		s.after(intents, 2, func() { s.confirm("ord_5", "pay_5") })
	}, ""},
	{"an order is confirmed while holds are read", func(s *stub) {
		s.after(holds, 3, func() { s.confirm("ord_5", "pay_5") })
	}, ""},
	{"an order is placed, held and paid after the orders were read", func(s *stub) {
		s.after(intents, 1, func() {
			s.Orders = append(s.Orders, &orderRow{ID: "ord_8", State: "confirmed", RunState: "done", Total: money{"GBP", "1.00"}, Pieces: map[string]int{"A": 1}, Intent: "pay_8"})
			s.Intents = append(s.Intents, &intentRow{ID: "pay_8", Order: "ord_8", State: "authorized", Amount: money{"GBP", "1.00"}, Updated: "2026-01-01T00:00:08Z"})
			s.Holds = append(s.Holds, &holdRow{Order: "ord_8", State: "held", Lines: []lineRow{{"A", "main", 1}}})
			s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "18.50", "-18.50"
		})
	}, "orders placed while the shop was read"},
	{"payments come and go between their reading and the ledger's", func(s *stub) {
		s.after(ledger, 1, func() {
			s.Orders = append(s.Orders, &orderRow{ID: "ord_8", State: "pending", RunState: "running", Total: money{"GBP", "1.00"}, Pieces: map[string]int{"A": 1}, Intent: ""})
			s.Intents = append(s.Intents, &intentRow{ID: "pay_8", Order: "ord_8", State: "authorized", Amount: money{"GBP", "1.00"}, Updated: "2026-01-01T00:00:08Z"})
			s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = "18.50", "-18.50"
		})
	}, ""},
	{"payments never stop coming", func(s *stub) {
		n := 0
		s.before = func(asked string) {
			if asked != ledger && asked != intents {
				return
			}
			n++
			order, pay := fmt.Sprintf("ord_9%03d", n), fmt.Sprintf("pay_9%03d", n)
			s.Orders = append(s.Orders, &orderRow{ID: order, State: "pending", RunState: "running", Total: money{"GBP", "1.00"}, Pieces: map[string]int{"A": 1}, Intent: ""})
			s.Intents = append(s.Intents, &intentRow{ID: pay, Order: order, State: "authorized", Amount: money{"GBP", "1.00"}, Updated: "2026-01-01T00:00:08Z"})
			s.Accounts[0].Balance.Amount, s.Accounts[2].Balance.Amount = fmt.Sprintf("%d.50", 17+n), fmt.Sprintf("-%d.50", 17+n)
		}
	}, ""},
	{"an order is undone after its hold was read", func(s *stub) {
		s.after("/api/runs", 1, func() {
			s.order("ord_6").RunState, s.hold("ord_6").State, s.intent("pay_6").State = "done", "released", "voided"
			s.Accounts = append([]*accountRow{s.Accounts[0], s.Accounts[2]}, s.Accounts[4:]...)
		})
	}, ""},
	{"a hold is listed before where the reading stands", func(s *stub) {
		row := s.hold("ord_1")
		s.Holds = s.Holds[1:]
		s.after(holds, 2, func() { s.Holds = append(s.Holds, row) })
	}, ""},
	{"a confirmation has not reached inventory within the watermark", func(s *stub) {
		s.after(holds, 1, func() {
			held := *s.hold("ord_5")
			s.confirm("ord_5", "pay_5")
			*s.hold("ord_5") = held
		})
	}, "orders that went on while the shop was read"},
	{"a consumer needs a while", func(s *stub) {
		c := s.consumer("inventory.orders")
		c.Position = 10
		s.hold("ord_1").State = "held"
		s.after("/api/audit/inventory", 5, func() { c.Position, s.hold("ord_1").State = 21, "allocated" })
	}, ""},
	{"a confirmation was seen that lies behind the watermark, and inventory needs longer than all looks", func(s *stub) {
		s.hold("ord_1").State = "held"
		s.after("/api/audit/orders", 2, func() {
			s.Rooms["orders"].Head = 21
			for _, name := range []string{"carts.orders", "shipping.orders", "notifications.orders"} {
				s.consumer(name).Position = 21
			}
		})
		s.after("/api/audit/inventory", 15, func() { s.consumer("inventory.orders").Position, s.hold("ord_1").State = 21, "allocated" })
	}, ""},
	{"a room's finding was a passing one", func(s *stub) {
		s.find("inventory", findingRow{7, "availability_is_the_rows", "A", "2 are told, the rows say 1"})
		s.after("/api/audit/inventory", 2, func() { s.Rooms["inventory"].Findings = nil })
	}, ""},
	{"a room finds something else each time", func(s *stub) {
		for n := 1; n <= 4; n++ {
			s.after("/api/audit/inventory", n, func() {
				s.Rooms["inventory"].Findings = []findingRow{{7, "availability_is_the_rows", fmt.Sprint("SKU-", n), "2 are told, the rows say 1"}}
			})
		}
	}, ""},
	{"stock is sold between inventory's reading and the catalog's", func(s *stub) {
		s.after(offers, 1, func() { s.tell(6) })
	}, ""},
	{"stock never stops moving", func(s *stub) {
		left := 1000
		s.before = func(asked string) {
			if strings.HasPrefix(asked, "/api/audit/") {
				left--
				s.tell(left)
			}
		}
	}, "prices and stock of the catalog that changed while the shop was read"},
	{"stock is sold while inventory's is read again", func(s *stub) {
		s.after(offers, 1, func() { s.tell(6) })
		s.after(figures, 3, func() { s.tell(5) })
	}, "prices and stock of the catalog that changed while the shop was read"},
	{"a price is set before the catalog is read", func(s *stub) {
		s.after(offers, 1, func() {
			p, o := s.price("A", "web"), s.offer("A", "web")
			p.Price.Amount, p.Revision = "5.50", 2
			o.Price, o.PriceRevision = p.Price, 2
		})
	}, ""},
	{"a price is set, and the catalog needs longer than all looks", func(s *stub) {
		s.price("A", "web").Price.Amount, s.price("A", "web").Revision = "5.50", 2
		s.Rooms["pricing"].Head = 3
		s.after("/api/audit/catalog", 22, func() { s.consumer("catalog.pricing").Position = 3 })
	}, "prices and stock not yet in the catalog: the consumer is behind"},
	{"a price waits as a letter", func(s *stub) {
		s.price("A", "web").Price.Amount, s.price("A", "web").Revision = "5.50", 2
		s.consumer("catalog.pricing").Letters = 1
		s.Letters = []letterRow{{"catalog.pricing:3", "catalog.pricing", 3, "web", 8, "no such currency"}}
	}, "prices and stock not in the catalog: an event waits as a letter"},
	{"the catalog hears of a sale while it is looked at again", func(s *stub) {
		s.figure("A").Available, s.figure("A").Revision = 6, 10
		s.after(offers, 4, s.hear)
	}, ""},
	{"a SKU is new", func(s *stub) {
		s.after(offers, 1, func() {
			s.Figures = append(s.Figures, &figureRow{"E", 3, false, 1})
			s.Offers = append(s.Offers, &offerRow{SKU: "E", Available: 3, StockRevision: 1})
		})
	}, ""},
	{"an event waits as a letter", func(s *stub) {
		s.hold("ord_1").State = "held"
		s.consumer("inventory.orders").Letters = 1
		s.Letters = []letterRow{{"inventory.orders:17", "inventory.orders", 17, "ord_1", 8, "no such location"}}
	}, "orders of which a room has not heard all: an event waits as a letter"},
}

func TestWhatMovesIsNotBroken(t *testing.T) {
	for _, tt := range moving {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub(t)
			tt.move(s)
			report := check(t, s, verify.Options{})
			if diff := cmp.Diff([]string(nil), broken(report)); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
			has := slices.ContainsFunc(report.InFlight, func(f verify.Flight) bool { return f.What == tt.flight })
			if tt.flight != "" && !has {
				t.Errorf("in flight are %+v, want %q among them", report.InFlight, tt.flight)
			}
		})
	}
}

func TestOldAndParkedRunsAndLettersAreListed(t *testing.T) {
	s := newStub(t)
	s.consumer("carts.orders").Letters = 1
	s.Letters = []letterRow{{"carts.orders:9", "carts.orders", 9, "ord_3", 8, "cart is gone"}}
	report := check(t, s, verify.Options{})
	var out bytes.Buffer
	if err := report.Print(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"runs under way for more than 20m0s: ord_6 (compensating at pay, attempt 4: the provider is away)",
		"run ord_7  parked at hold, attempt 10: inventory is away",
		"letter carts.orders:9  of ord_3: cart is gone",
		"The books hold. 9 rooms, 13 orders",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
}

func TestARoomThatIsNotHereIsNotCalledRight(t *testing.T) {
	s := newStub(t)
	delete(s.Rooms, "payments")
	report := check(t, s, verify.Options{})
	if report.Complete || report.Guarantees[2].Mark != verify.Unchecked || !report.Holds {
		t.Errorf("report is %+v", report)
	}
}

func TestAViewWhoseSourceIsNotHereIsNotCalledRight(t *testing.T) {
	s := newStub(t)
	delete(s.Rooms, "pricing")
	report := check(t, s, verify.Options{})
	if report.Complete || report.Guarantees[6].Mark != verify.Unchecked || !report.Holds {
		t.Errorf("report is %+v", report)
	}
}

func TestExitCodes(t *testing.T) {
	list := filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(list, []byte("ord_1 confirmed\n# a remark\n\nord_2\nord_0"), 0o600); err != nil {
		t.Fatal(err) // the last line is half written
	}
	tests := []struct {
		name  string
		plant func(*stub)
		code  int
		says  string
	}{
		{"the books hold", func(*stub) {}, 0, "✓ 1  Every acknowledged order exists, once          2 orders acknowledged, against 13 orders"},
		{"a rule is broken", func(s *stub) { s.order("ord_2").ID = "ord_22" }, 1, "ord_2  a client was told of this order, and there is none"},
		{"a room is not here", func(s *stub) { delete(s.Rooms, "payments") }, 2, "not checked: there is no payments room"},
		{"orders is not here", func(s *stub) { delete(s.Rooms, "orders") }, 2, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub(t)
			tt.plant(s)
			var out bytes.Buffer
			var err error
			synctest.Test(t, func(t *testing.T) {
				err = (&verify.Cmd{Acknowledged: list}).Run(t.Context(), s.client(t), &out)
			})
			var exit *verify.Exit
			code := 0
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			}
			if code != tt.code || (err != nil) != (code != 0) || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit %d (%v), want %d and %q in:\n%s", code, err, tt.code, tt.says, &out)
			}
		})
	}
}

func TestManySuspectsAreReadTogether(t *testing.T) {
	s := newStub(t)
	for n := range 600 {
		id := fmt.Sprintf("ord_9%03d", n)
		s.Orders = append(s.Orders, &orderRow{ID: id, State: "confirmed", RunState: "done", Total: money{"GBP", "1.00"}, Pieces: map[string]int{}, Intent: ""})
	}
	report := check(t, s, verify.Options{})
	if n := len(report.Guarantees[2].Broken); n != 600 || s.asked[intents] > 100 {
		t.Errorf("%d orders are called unpaid after %d requests, want 600 after less than 100", n, s.asked[intents])
	}
}

func TestRowsOfABrokenRuleAreBoundedUnlessAllAreAskedFor(t *testing.T) {
	s := newStub(t)
	for n := range 1234 {
		s.find("orders", findingRow{8, "totals_add_up", fmt.Sprint("ord_", n), "wrong"})
	}
	report := check(t, s, verify.Options{})
	var some, all bytes.Buffer
	if err := errors.Join(report.Print(&some, false), report.Print(&all, true)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(some.String(), "wrong"); n != 10 || !strings.Contains(some.String(), "and 1,224 more; --all lists them") {
		t.Errorf("%d rows in:\n%s", n, &some)
	}
	if n := strings.Count(all.String(), "wrong"); n != 1234 {
		t.Errorf("%d rows with --all, want 1234", n)
	}
}
