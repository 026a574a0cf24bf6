package verify_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/cmd/souk/verify"
)

func eur(amount string) money { return money{"EUR", amount} }

func eurp(amount string) *money { return &money{"EUR", amount} }

// balance changes an account and its counterpart, so that the ledger still adds up.
func (s *stub) balance(currency, account, amount, counter, counted string) {
	for _, a := range s.Accounts {
		if a.Balance.Currency != currency {
			continue
		}
		switch a.Name {
		case account:
			a.Balance.Amount = amount
		case counter:
			a.Balance.Amount = counted
		}
	}
}

// plantedAfterSale are violations of what happens to an order once it is confirmed.
var plantedAfterSale = []struct {
	name  string
	plant func(*stub)
	want  string
}{
	// 2. Stock.
	{"a canceled order is still promised its pieces", func(s *stub) {
		s.hold("ord_B").State, s.hold("ord_B").Lines = "allocated", []lineRow{{"A", "main", 1}}
	}, "2 canceled_order_is_promised_nothing ord_B"},
	{"canceled pieces of an order that stands are still promised", func(s *stub) {
		s.hold("ord_C").State, s.hold("ord_C").Lines = "allocated", []lineRow{{"B", "main", 2}}
	}, "2 allocation_is_what_was_ordered ord_C"},
	{"what has left is still promised", func(s *stub) {
		s.hold("ord_4").Lines = append(s.hold("ord_4").Lines, lineRow{"B", "main", 1})
	}, "2 allocation_is_what_was_ordered ord_4"},
	{"more was shipped than dispatched", func(s *stub) { s.hold("ord_A").Shipped["A"] = 3 }, "2 shipped_is_what_was_dispatched ord_A"},
	{"less was shipped than dispatched", func(s *stub) { s.hold("ord_D").Shipped = nil }, "2 shipped_is_what_was_dispatched ord_D"},
	{"another thing was shipped than dispatched", func(s *stub) { s.hold("ord_C").Shipped = map[string]int{"B": 1} }, "2 shipped_is_what_was_dispatched ord_C"},
	{"a return did not come back to stock", func(s *stub) { s.hold("ord_A").Returned = nil }, "2 returned_is_what_came_back ord_A"},
	{"a return came back twice", func(s *stub) { s.hold("ord_A").Returned["A"] = 2 }, "2 returned_is_what_came_back ord_A"},
	{"something was shipped to an order that does not exist", func(s *stub) {
		s.Holds = append(s.Holds, &holdRow{Order: "ord_0", State: "shipped", Shipped: map[string]int{"A": 1}})
	}, "2 hold_has_order ord_0"},
	{"something was shipped to a rejected order", func(s *stub) {
		s.Holds = append(s.Holds, &holdRow{Order: "ord_2", State: "shipped", Shipped: map[string]int{"B": 9}})
	}, "2 allocation_has_confirmed_order ord_2"},
	{"a rejected order has a shipment", func(s *stub) {
		s.Sent = append(s.Sent, &shipmentRow{"ord_2", "open", []sentLineRow{{1, "B", 9, 0}}})
	}, "2 shipment_has_confirmed_order ord_2"},
	{"a canceled order's shipment was not stopped", func(s *stub) { s.shipment("ord_B").State = "open" }, "2 canceled_pieces_are_stopped ord_B"},
	{"canceled pieces may still leave", func(s *stub) { s.shipment("ord_C").State = "partly_dispatched" }, "2 canceled_pieces_are_stopped ord_C"},
	{"a shipment was stopped and its order stands", func(s *stub) { s.shipment("ord_1").State = "stopped" }, "2 stopped_shipment_was_canceled ord_1"},

	// 3. Money.
	{"money was taken for an order that does not exist", func(s *stub) {
		s.Captures = append(s.Captures, &moneyRow{"cap_0.1", "ord_0", "failed", eur("1.00"), nil})
	}, "3 taking_has_order ord_0"},
	{"money was taken for a rejected order", func(s *stub) {
		s.Captures = append(s.Captures, &moneyRow{"cap_2.1", "ord_2", "unknown", money{"GBP", "90.00"}, nil})
	}, "3 capture_has_confirmed_order ord_2"},
	{"money was taken for an undecided order", func(s *stub) {
		s.Captures = append(s.Captures, &moneyRow{"cap_5.1", "ord_5", "captured", money{"GBP", "3.00"}, nil})
	}, "3 capture_has_confirmed_order ord_5"},
	{"money was taken in another currency", func(s *stub) { s.capture("cap_C.1").Amount.Currency = "USD" }, "3 money_is_in_the_orders_currency ord_C"},
	{"more was taken than the total", func(s *stub) {
		s.capture("cap_C.1").Amount, s.intent("pay_C").Captured, s.order("ord_C").Captured = eur("9.01"), eurp("9.01"), eurp("9.01")
		s.balance("EUR", "provider_receivable", "17.01", "sales", "-27.01")
	}, "3 captured_is_at_most_the_total ord_C"},
	{"more may have been given back than was taken", func(s *stub) {
		s.Refunds = append(s.Refunds, &moneyRow{"rfd_A.2", "ord_A", "unknown", eur("18.01"), nil})
	}, "3 refunded_is_at_most_captured ord_A"},
	{"a capture is not its intent's", func(s *stub) {
		s.intent("pay_C").Captured = eurp("2.00")
		s.balance("EUR", "provider_receivable", "10.00", "sales", "-20.00")
	}, "3 captures_are_the_intents ord_C"},
	{"a refund is not its intent's", func(s *stub) {
		s.intent("pay_A").Refunded = nil
		s.balance("EUR", "provider_receivable", "23.00", "sales", "-33.00")
	}, "3 refunds_are_the_intents ord_A"},
	{"store credit was captured of the provider", func(s *stub) { s.capture("cap_A.1").Credit = nil }, "3 captures_are_the_intents ord_A"},
	{"the order says that less was taken", func(s *stub) { s.order("ord_C").Captured = eurp("2.99") }, "3 captured_is_what_payments_took ord_C"},
	{"the order does not know that money was taken", func(s *stub) { s.order("ord_C").Captured = nil }, "3 captured_is_what_payments_took ord_C"},
	{"the order says that less was given back", func(s *stub) { s.order("ord_A").Refunded = eurp("11.99") }, "3 refunded_is_what_payments_gave ord_A"},
	{"a refund was made twice", func(s *stub) {
		s.Refunds = append(s.Refunds, &moneyRow{"rfd_A.2", "ord_A", "refunded", eur("8.00"), nil})
		s.intent("pay_A").Refunded = eurp("20.00")
		s.balance("EUR", "provider_receivable", "3.00", "sales", "-13.00")
	}, "3 refunded_is_what_payments_gave ord_A"},
	{"a canceled order was captured and kept", func(s *stub) {
		s.intent("pay_B").State, s.intent("pay_B").Captured, s.order("ord_B").Captured = "captured", eurp("5.00"), eurp("5.00")
		s.Captures = append(s.Captures, &moneyRow{"cap_B.1", "ord_B", "captured", eur("5.00"), nil})
		s.balance("EUR", "provider_receivable", "16.00", "sales", "-26.00")
	}, "3 canceled_order_keeps_no_money ord_B"},
	{"a canceled order still holds money", func(s *stub) {
		s.intent("pay_B").State = "authorized"
		s.balance("EUR", "authorized_hold", "12.00", "customer", "-12.00")
	}, "3 canceled_order_holds_no_money ord_B"},
	{"everything has left and nothing was taken", func(s *stub) {
		s.order("ord_4").Dispatched = map[string]int{"A": 1, "B": 1}
		*s.hold("ord_4") = holdRow{Order: "ord_4", State: "shipped", Shipped: map[string]int{"A": 1, "B": 1}}
		s.shipment("ord_4").Lines[0].Dispatched = 1
	}, "3 dispatched_order_is_captured ord_4"},
	{"an order's payment does not leave room for its store credit", func(s *stub) { s.order("ord_A").Credit = eurp("9.00") }, "3 intent_is_the_orders_total ord_A"},
	{"an order is paid neither by credit nor otherwise", func(s *stub) {
		s.order("ord_F").Credit = eurp("5.00")
		s.balance("EUR", "store_credit_held", "-9.00", "store_credit", "-31.00")
	}, "3 confirmed_order_is_paid ord_F"},
	{"providers owe less than was captured", func(s *stub) {
		s.balance("EUR", "provider_receivable", "10.99", "sales", "-20.99")
	}, "3 ledger_is_owed_what_was_captured EUR"},
	{"less store credit is set aside than orders use", func(s *stub) {
		s.balance("EUR", "store_credit_held", "-5.99", "store_credit", "-34.01")
	}, "3 wallets_set_aside_what_orders_use EUR"},
	{"more store credit is set aside than orders use", func(s *stub) {
		s.balance("EUR", "store_credit_held", "-10.01", "store_credit", "-29.99")
	}, "3 wallets_set_aside_what_orders_use EUR"},

	// 4. Runs.
	{"money is due and nobody sees to it", func(s *stub) { s.end("ord_D.aftersale") }, "4 unsettled_order_has_living_run ord_D"},
	{"a cancellation is undecided and nobody sees to it", func(s *stub) {
		s.end("ord_E.aftersale")
		s.Runs = append(s.Runs, &runRow{ID: "ord_E.aftersale", Saga: "aftersale", State: "done"})
	}, "4 unsettled_order_has_living_run ord_E"},
	{"an after-sale has no order", func(s *stub) {
		s.Runs = append(s.Runs, &runRow{ID: "ord_0.aftersale", Saga: "aftersale", State: "running"})
	}, "4 run_has_order ord_0.aftersale"},

	// 6. Events.
	{"a confirmed order has no shipment", func(s *stub) { s.Sent = s.Sent[1:] }, "6 confirmed_order_has_shipment ord_1"},
	{"a shipment is of something else", func(s *stub) { s.shipment("ord_1").Lines[0].SKU = "B" }, "6 shipment_is_what_was_ordered ord_1"},
	{"a shipment has no order", func(s *stub) { s.Sent = append(s.Sent, &shipmentRow{"ord_0", "stopped", nil}) }, "6 shipment_has_order ord_0"},
	{"an order did not hear of a parcel", func(s *stub) {
		s.order("ord_D").Dispatched = nil
	}, "2 allocation_is_what_was_ordered ord_D; 2 shipped_is_what_was_dispatched ord_D; 6 dispatch_is_heard_once ord_D"},
	{"a parcel counted twice", func(s *stub) {
		s.shipment("ord_A").Lines[0].Dispatched = 1
	}, "6 dispatch_is_heard_once ord_A"},
	{"shipping does not follow orders", func(s *stub) { s.consumer("shipping.orders").Position = 19 }, "6 consumer_reaches_its_sources_head shipping.orders"},
	{"orders does not follow shipping", func(s *stub) { s.consumer("orders.shipping").Position = 7 }, "6 consumer_reaches_its_sources_head orders.shipping"},
	{"notifications lost a mail", func(s *stub) {
		s.find("notifications", findingRow{6, "mail_is_written_once", "ord_A", "2 mails, 1 expected"})
	}, "6 mail_is_written_once ord_A"},
}

// end takes a run away.
func (s *stub) end(run string) {
	s.Runs = slices.DeleteFunc(s.Runs, func(r *runRow) bool { return r.ID == run })
}

func TestAPlantedViolationOfAfterSaleIsNamed(t *testing.T) {
	for _, tt := range plantedAfterSale {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub(t)
			tt.plant(s)
			report := check(t, s, verify.Options{})
			if diff := cmp.Diff(strings.Split(tt.want, "; "), broken(report)); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
		})
	}
}

// dispatch sends what is left of ord_4, and everybody hears of it at once.
func (s *stub) dispatch() {
	s.shipment("ord_4").State, s.shipment("ord_4").Lines[0].Dispatched = "dispatched", 1
	s.Rooms["shipping"].Head = 9
	s.inventoryHears()
	s.orderHears()
	s.consumer("notifications.shipping").Position = 9
}

func (s *stub) inventoryHears() {
	*s.hold("ord_4") = holdRow{Order: "ord_4", State: "shipped", Shipped: map[string]int{"A": 1, "B": 1}}
	s.consumer("inventory.shipping").Position = 9
}

// orderHears is ord_4 hearing of its parcel and asking for the money.
func (s *stub) orderHears() {
	o := s.order("ord_4")
	o.Dispatched, o.Unsettled = map[string]int{"A": 1, "B": 1}, true
	s.Runs = append(s.Runs, &runRow{ID: "ord_4.aftersale", Saga: "aftersale", State: "running"})
	s.consumer("orders.shipping").Position = 9
}

// capture4 takes the money of ord_4, and the order hears of it.
func (s *stub) capture4() {
	s.intent("pay_4").State, s.intent("pay_4").Captured, s.intent("pay_4").Updated = "captured", &money{"GBP", "5.50"}, "2026-01-01T00:02:00Z"
	s.Captures = append(s.Captures, &moneyRow{"cap_4.1", "ord_4", "captured", money{"GBP", "5.50"}, nil})
	s.balance("GBP", "authorized_hold", "12.00", "customer", "-12.00")
	s.Accounts = append(s.Accounts, &accountRow{"provider_receivable", money{"GBP", "5.50"}, 1}, &accountRow{"sales", money{"GBP", "-5.50"}, 1})
	s.end("ord_4.aftersale")
	o := s.order("ord_4")
	o.Captured, o.Unsettled = &money{"GBP", "5.50"}, false
}

// movingAfterSale are shops in which orders are dispatched, captured and canceled while they are read.
var movingAfterSale = []struct {
	name   string
	move   func(*stub)
	flight string // what must be listed as in flight, "" for whatever
}{
	{"an order is dispatched and captured after the orders were read", func(s *stub) {
		s.after(holds, 1, func() { s.dispatch(); s.capture4() })
	}, "orders that went on while the shop was read"},
	{"an order is dispatched after its payment was read, and captured after the captures", func(s *stub) {
		s.after(captures, 1, s.dispatch)
		s.after(refunds, 1, s.capture4)
	}, "orders that went on while the shop was read"},
	{"an order is dispatched between inventory's reading and shipping's", func(s *stub) {
		s.after(sent, 1, s.dispatch)
		s.after("/api/runs", 1, s.capture4)
	}, "orders that went on while the shop was read"},
	{"money is taken between the payments' reading and the ledger's", func(s *stub) {
		s.dispatch()
		s.after(ledger, 1, s.capture4)
	}, "orders whose money, cancellation or return is under way"},
	{"money is being taken", func(s *stub) { s.dispatch() }, "orders whose money, cancellation or return is under way"},
	{"a refund's outcome is not known", func(s *stub) {
		s.order("ord_A").Unsettled = true
		s.Refunds = append(s.Refunds, &moneyRow{"rfd_A.2", "ord_A", "unknown", eur("2.00"), nil})
		s.Runs = append(s.Runs, &runRow{ID: "ord_A.aftersale", Saga: "aftersale", State: "running"})
	}, "orders whose money, cancellation or return is under way"},
	{"orders has not heard of a parcel within all looks", func(s *stub) {
		s.dispatchedOnly()
		s.inventoryHears()
		s.consumer("orders.shipping").Position = 8
		s.after("/api/audit/orders", 22, s.orderHears)
	}, "orders of which a room has not heard all: its consumer is behind"},
	{"inventory needs a while to hear of a parcel", func(s *stub) {
		s.dispatchedOnly()
		s.orderHears()
		s.after("/api/audit/inventory", 5, s.inventoryHears)
	}, ""},
	{"a parcel waits as a letter in inventory", func(s *stub) {
		s.dispatchedOnly()
		s.orderHears()
		s.consumer("inventory.shipping").Position, s.consumer("inventory.shipping").Letters = 9, 1
		s.Letters = []letterRow{{"inventory.shipping:9", "inventory.shipping", 9, "ord_4", 8, "no such SKU"}}
	}, "orders whose money, cancellation or return is under way"},
	{"a confirmation waits as a letter in shipping", func(s *stub) {
		s.Sent = s.Sent[1:]
		s.consumer("shipping.orders").Letters = 1
		s.Letters = []letterRow{{"shipping.orders:3", "shipping.orders", 3, "ord_1", 8, "no such line"}}
	}, "orders of which a room has not heard all: an event waits as a letter"},
	{"an order is canceled while it is read", func(s *stub) {
		s.after(sent, 1, func() {
			o := s.order("ord_F")
			o.State, o.Canceled = "canceled", map[string]int{"A": 1}
			s.shipment("ord_F").State, s.hold("ord_F").State = "stopped", "released"
			s.balance("EUR", "store_credit_held", "-4.00", "store_credit", "-36.00")
		})
	}, "orders that went on while the shop was read"},
	{"canceled pieces are being given back", func(s *stub) {
		s.order("ord_C").Unsettled = true
		s.hold("ord_C").State, s.hold("ord_C").Lines = "allocated", []lineRow{{"B", "main", 2}}
		s.hold("ord_E").State = "released"
		s.Runs = append(s.Runs, &runRow{ID: "ord_C.aftersale", Saga: "aftersale", State: "running"})
	}, "orders whose money, cancellation or return is under way"},
	{"money never stops being taken", func(s *stub) {
		n := 0
		s.before = func(asked string) {
			if asked != ledger && asked != intents {
				return
			}
			n++
			order, pay := fmt.Sprintf("ord_X%03d", n), fmt.Sprintf("pay_X%03d", n)
			s.Orders = append(s.Orders, &orderRow{ID: order, State: "pending", RunState: "running", Total: eur("1.00"), Pieces: map[string]int{"A": 1}})
			s.Intents = append(s.Intents, &intentRow{ID: pay, Order: order, State: "captured", Amount: eur("1.00"), Captured: eurp("1.00")})
			s.balance("EUR", "provider_receivable", fmt.Sprintf("%d.00", 11+n), "sales", fmt.Sprintf("-%d.00", 21+n))
		}
	}, ""},
	{"a cancellation ends between two looks", func(s *stub) {
		s.end("ord_E.aftersale")
		s.after("/api/runs/ord_E.aftersale", 1, func() {
			o := s.order("ord_E")
			o.State, o.Canceled, o.Unsettled = "canceled", map[string]int{"A": 1}, false
			s.shipment("ord_E").State, s.hold("ord_E").State = "stopped", "released"
			s.balance("EUR", "store_credit_held", "-6.00", "store_credit", "-34.00")
		})
	}, ""},
}

// dispatchedOnly is a parcel that nobody has heard of.
func (s *stub) dispatchedOnly() {
	s.shipment("ord_4").State, s.shipment("ord_4").Lines[0].Dispatched = "dispatched", 1
	s.Rooms["shipping"].Head = 9
	s.consumer("notifications.shipping").Position = 9
}

func TestAfterSaleThatMovesIsNotBroken(t *testing.T) {
	for _, tt := range movingAfterSale {
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

func TestWhatWasToldMayHaveBeenCanceledSince(t *testing.T) {
	report := check(t, newStub(t), verify.Options{Acknowledged: []verify.Acknowledged{
		{Order: "ord_B", State: "confirmed"},
		{Order: "ord_E", State: "confirmed"},
		{Order: "ord_1", State: "canceling"},
		{Order: "ord_B", State: "canceled"},
		{Order: "ord_1", State: "canceled"},
		{Order: "ord_2", State: "confirmed"},
		{Order: "ord_B", State: "rejected"},
	}})
	want := []string{"1 acknowledged_order_is_as_told ord_1", "1 acknowledged_order_is_as_told ord_2", "1 acknowledged_order_is_as_told ord_B"}
	if diff := cmp.Diff(want, broken(report)); diff != "" {
		t.Errorf("broken (-want +got):\n%s", diff)
	}
}

func TestAParkedAfterSaleIsListed(t *testing.T) {
	var out bytes.Buffer
	if err := check(t, newStub(t), verify.Options{}).Print(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"run ord_D.aftersale  parked at capture, attempt 36: authorization_expired",
		"2  orders whose money, cancellation or return is under way: ",
		"9 intents, 3 captures and 1 refund against 13 orders", "10 holds and 8 shipments against 13 orders",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
}

func TestAShopWithoutShippingIsChecked(t *testing.T) {
	s := newStub(t)
	delete(s.Rooms, "shipping")
	for _, r := range s.Rooms {
		r.Consumers = slices.DeleteFunc(r.Consumers, func(c *consumerRow) bool { return c.Source == "shipping" })
	}
	s.Sent = nil
	report := check(t, s, verify.Options{})
	if !report.Holds || slices.Contains(report.Rooms, "shipping") {
		t.Errorf("broken: %v, rooms %v", broken(report), report.Rooms)
	}
	if n := s.asked[sent]; n != 0 {
		t.Errorf("shipments were asked for %d times: %v", n, slices.Sorted(maps.Keys(s.asked)))
	}
}
