package journey

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-21071466/souk/test/shop"
)

// merchants are the journeys after an order was confirmed.
var merchants = []struct {
	name string
	walk func(t *testing.T, s *shop.Shop)
}{
	{"what is dispatched is paid for", dispatchAndPay},
	{"an order leaves in two parcels, each paid for as it goes", twoParcels},
	{"what comes back is restocked or written off, and paid back", comesBack},
	{"a return is announced by its customer and received by staff", announced},
	{"an order is canceled before it leaves", canceled},
	{"the rest of an order is canceled", restCanceled},
	{"what has left cannot be canceled", tooLate},
	{"money is given back without a return", goodwill},
	{"money that cannot be taken after dispatch is due, and taken later", due},
	{"a wallet is filled, spent and filled again", wallet},
	{"store credit pays a part, and comes back with a cancellation", storeCredit},
	{"the sales desk orders for a customer at its own price", salesDesk},
	{"a merchant finds orders, sales and movements, also as a spreadsheet", views},
	{"a customer with a mail address is told", mailed},
}

func dispatchAndPay(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	id := s.Sold(t, "tok_ok", 3, a)
	sent := s.Call(t, 200, s.Dispatch(id, "d-"+id))
	if sent.Text("state") != "dispatched" || !strings.Contains(string(sent.Body), "RM-d-"+id) {
		t.Fatalf("the shipment is %s", sent)
	}
	o := s.Becomes(t, id, "payment_state", "captured", "fulfilment_state", "dispatched")
	if o.Text("captured.amount") != o.Text("totals.total.amount") {
		t.Errorf("%s was taken of %s", o.Text("captured.amount"), o.Text("totals.total.amount"))
	}
	s.Stock(t, a, "on_hand", 7)
	s.Stock(t, a, "allocated", 0)
	parcel := sent.JSON()["parcels"].([]any)[0].(map[string]any)["id"].(string)
	tracked := s.Call(t, 200, s.Staff("POST", "/api/shipments/"+id+"/parcels/"+parcel+"/tracking", "", map[string]any{"status": "delivered", "note": "left at the door"}))
	if !strings.Contains(string(tracked.Body), `"status":"delivered"`) {
		t.Errorf("its tracking is %s", tracked)
	}
}

func twoParcels(t *testing.T, s *shop.Shop) {
	a, b := sku(t), sku(t)
	s.Goods(t, 10, a, b)
	id := s.Sold(t, "tok_ok", 2, a, b)
	total := s.Order(t, id).Text("totals.total.amount")
	if part := s.Call(t, 200, s.Dispatch(id, "d1-"+id, 1, 0)); part.Text("state") != "partly_dispatched" {
		t.Fatalf("the shipment is %s", part)
	}
	s.Becomes(t, id, "fulfilment_state", "partly_dispatched", "payment_state", "partly_captured", "captured.amount", "6.50") // a piece of 2.55 and 3.95 for shipping
	s.Stock(t, a, "allocated", 1)
	s.Call(t, 200, s.Dispatch(id, "d2-"+id))
	s.Becomes(t, id, "fulfilment_state", "dispatched", "payment_state", "captured", "captured.amount", total)
	if again := s.Call(t, 409, s.Dispatch(id, "d3-"+id)); again.Text("code") != "already_dispatched" {
		t.Errorf("dispatching what has left answered %s", again)
	}
	s.Stock(t, b, "on_hand", 8)
}

func comesBack(t *testing.T, s *shop.Shop) {
	a, b := sku(t), sku(t)
	s.Goods(t, 10, a, b)
	id := s.Sold(t, "tok_ok", 2, a, b)
	if early := s.Call(t, 409, s.Return(id, "e-"+id)); early.Text("code") != "not_returnable" {
		t.Errorf("returning what has not left answered %s", early)
	}
	s.Call(t, 200, s.Dispatch(id, "d-"+id))
	s.Becomes(t, id, "payment_state", "captured")
	back := s.Call(t, 201, s.Return(id, "r1-"+id, 1, 0))
	if back.Text("state") != "received" || back.Text("refund.amount") != "2.55" {
		t.Fatalf("the return is %s", back)
	}
	s.Call(t, 201, s.WriteOff(id, "r2-"+id, 0, 2))
	s.Becomes(t, id, "refunded.amount", "7.65", "payment_state", "partly_refunded", "fulfilment_state", "partly_returned")
	s.Stock(t, a, "on_hand", 9)
	s.Stock(t, b, "on_hand", 8)
	s.Call(t, 409, s.Return(id, "r3-"+id, 2, 0))
}

func announced(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	c := s.ReadyCart(t, 2, a)
	o := s.Call(t, 201, c.Checkout("k-"+c.ID, "tok_ok"))
	id := o.Text("id")
	s.Call(t, 200, s.Dispatch(id, "d-"+id))
	s.Becomes(t, id, "payment_state", "captured")
	ask := shop.Request{Method: "POST", Path: "/api/orders/" + id + "/returns", Token: o.Text("token"), Key: "r-" + id, Body: map[string]any{"reason": "too small"}}
	open := s.Call(t, 201, ask)
	if open.Text("state") != "open" {
		t.Fatalf("the return is %s", open)
	}
	bold := ask
	bold.Key, bold.Body = "r2-"+id, map[string]any{"received": true}
	s.Call(t, 403, bold)
	path := "/api/orders/" + id + "/returns/" + open.Text("id")
	s.Call(t, 200, s.Staff("POST", path+"/receive", "", map[string]any{"lines": []any{map[string]any{"line": 1, "quantity": 1}}}))
	s.Becomes(t, id, "refunded.amount", "2.55")
	if again := s.Call(t, 200, s.Staff("POST", path+"/receive", "", map[string]any{})); again.Text("refund.amount") != "2.55" {
		t.Errorf("receiving it again answered %s", again)
	}
	s.Call(t, 409, s.Staff("POST", path+"/close", "", map[string]any{}))
}

func canceled(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	c := s.ReadyCart(t, 3, a)
	o := s.Call(t, 201, c.Checkout("k-"+c.ID, "tok_ok"))
	mine := s.Cancel(o.Text("id"))
	mine.Token = o.Text("token") // its owner may
	if got := s.Call(t, 200, mine); got.Text("state") != "canceled" {
		t.Fatalf("the order is %s", got)
	}
	s.Becomes(t, o.Text("id"), "state", "canceled", "payment_state", "voided", "captured.amount", "0.00")
	s.Stock(t, a, "available", 10)
	s.Stock(t, a, "allocated", 0)
	if no := s.Call(t, 409, s.Dispatch(o.Text("id"), "d-"+o.Text("id"))); no.Text("code") != "shipment_stopped" {
		t.Errorf("dispatching a canceled order answered %s", no)
	}
}

func restCanceled(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	id := s.Sold(t, "tok_ok", 3, a)
	s.Call(t, 200, s.Dispatch(id, "d-"+id, 1))
	if got := s.Call(t, 200, s.Cancel(id)); got.Text("state") != "confirmed" || got.Text("cancellation") != "canceled" {
		t.Fatalf("the order is %s", got)
	}
	s.Becomes(t, id, "payment_state", "captured", "captured.amount", "6.50", "fulfilment_state", "dispatched")
	s.Stock(t, a, "on_hand", 9)
	s.Stock(t, a, "available", 9)
}

func tooLate(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	id := s.Sold(t, "tok_ok", 1, a)
	s.Call(t, 200, s.Dispatch(id, "d-"+id))
	if no := s.Call(t, 409, s.Cancel(id)); no.Text("code") != "already_dispatched" {
		t.Errorf("it answered %s", no)
	}
	s.Becomes(t, id, "state", "confirmed", "payment_state", "captured")
}

func goodwill(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	id := s.Sold(t, "tok_ok", 2, a)
	if early := s.Call(t, 409, s.Refund(id, "f0-"+id, "1.00")); early.Text("code") != "not_refundable" {
		t.Errorf("giving back what was not taken answered %s", early)
	}
	s.Call(t, 200, s.Dispatch(id, "d-"+id))
	s.Becomes(t, id, "payment_state", "captured")
	s.Call(t, 202, s.Refund(id, "f1-"+id, "1.00"))
	s.Becomes(t, id, "refunded.amount", "1.00")
	s.Call(t, 409, s.Refund(id, "f2-"+id, "8.06"))
}

func due(t *testing.T, s *shop.Shop) {
	a := sku(t)
	s.Goods(t, 10, a)
	id := s.Sold(t, "tok_capture_declined_once", 1, a)
	s.Call(t, 200, s.Dispatch(id, "d-"+id))
	o := s.Becomes(t, id, "payment_state", "captured", "fulfilment_state", "dispatched")
	if o.Text("captured.amount") != o.Text("totals.total.amount") {
		t.Errorf("%s was taken", o.Text("captured.amount"))
	}
	never := s.Sold(t, "tok_capture_declined", 1, a)
	s.Call(t, 200, s.Dispatch(never, "d-"+never))
	s.Becomes(t, never, "payment_state", "payment_due")
	list := s.Call(t, 200, s.Staff("GET", "/api/orders?payment_state=payment_due", "", nil))
	if !strings.Contains(string(list.Body), never) {
		t.Errorf("what is due is not listed: %s", list)
	}
}

func wallet(t *testing.T, s *shop.Shop) {
	who := "cust" + sku(t)
	s.Customer(t, who, "")
	move := func(want int, what, key, amount string) shop.Answer {
		return s.Call(t, want, s.Staff("POST", "/api/wallets/"+who+"/"+what, key+who, map[string]any{"amount": shop.GBP(amount), "reason": "test"}))
	}
	move(200, "deposits", "1", "50.00")
	move(200, "withdrawals", "2", "20.00")
	if got := move(200, "deposits", "3", "70.00"); got.Text("balance.amount") != "100.00" {
		t.Fatalf("the wallet is %s", got)
	}
	if no := move(409, "withdrawals", "4", "100.01"); no.Text("code") != "insufficient_credit" {
		t.Errorf("drawing more than there is answered %s", no)
	}
	history := s.Call(t, 200, s.Staff("GET", "/api/wallets/"+who+"/entries", "", nil))
	if n := len(history.JSON()["entries"].([]any)); n != 3 {
		t.Errorf("its history has %d entries: %s", n, history)
	}
}

func storeCredit(t *testing.T, s *shop.Shop) {
	a, who := sku(t), "cust"+sku(t)
	s.Goods(t, 10, a)
	s.Customer(t, who, "")
	s.Call(t, 200, s.Staff("POST", "/api/wallets/"+who+"/deposits", "d"+who, map[string]any{"amount": shop.GBP("5.00")}))
	order := s.Desk("o-"+who, who, a, 2, "4.00")
	order.Body.(map[string]any)["payment"] = map[string]any{"token": "tok_ok", "credit": shop.GBP("3.00")}
	o := s.Call(t, 201, order)
	balance := func() string {
		return s.Call(t, 200, s.Staff("GET", "/api/wallets/"+who, "", nil)).Text("balance.amount")
	}
	if o.Text("state") != "confirmed" || balance() != "2.00" {
		t.Fatalf("the order is %s, the wallet has %s", o, balance())
	}
	s.Call(t, 200, s.Cancel(o.Text("id")))
	shop.Eventually(t, "the credit is back", func() bool { return balance() == "5.00" })
	broke := s.Desk("p-"+who, who, a, 2, "4.00")
	broke.Body.(map[string]any)["payment"] = map[string]any{"token": "tok_ok", "credit": shop.GBP("6.00")}
	if no := s.Call(t, 409, broke); no.Text("code") != "insufficient_credit" {
		t.Errorf("more credit than there is answered %s", no)
	}
	s.Stock(t, a, "available", 10)
	whole := s.Desk("q-"+who, who, a, 1, "4.00")
	whole.Body.(map[string]any)["payment"] = map[string]any{"credit": shop.GBP("4.00")}
	paid := s.Call(t, 201, whole)
	s.Call(t, 200, s.Dispatch(paid.Text("id"), "d-"+paid.Text("id")))
	s.Becomes(t, paid.Text("id"), "payment_state", "captured", "captured.amount", "4.00")
	s.Call(t, 201, s.Return(paid.Text("id"), "r-"+paid.Text("id")))
	shop.Eventually(t, "the credit is back again", func() bool { return balance() == "5.00" })
}

func salesDesk(t *testing.T, s *shop.Shop) {
	a, who := sku(t), "cust"+sku(t)
	s.Goods(t, 10, a)
	s.Customer(t, who, "")
	o := s.Call(t, 201, s.Desk("inv-"+who, who, a, 2, "1.99"))
	if o.Text("totals.total.amount") != "3.98" || o.Text("reference") != "inv-"+who {
		t.Fatalf("the order is %s", o)
	}
	history := s.Call(t, 200, s.Staff("GET", "/api/orders/"+o.Text("id")+"/history", "", nil))
	if !strings.Contains(string(history.Body), "as on the invoice") {
		t.Errorf("the reason of its price is not in its history: %s", history)
	}
	c := s.ReadyCart(t, 1, a)
	guest := s.Desk("steal", who, a, 1, "0.01")
	guest.Token = c.Token
	s.Call(t, 403, guest)
}

func views(t *testing.T, s *shop.Shop) {
	a, who := sku(t), "cust"+sku(t)
	s.Goods(t, 10, a)
	s.Customer(t, who, "")
	order := s.Desk("inv-"+who, who, a, 2, "2.00")
	order.Body.(map[string]any)["sold_at"] = "2011-07-30T10:00:00Z"
	id := s.Call(t, 201, order).Text("id")
	s.Call(t, 200, s.Dispatch(id, "d-"+id))
	s.Becomes(t, id, "payment_state", "captured")
	s.Stock(t, a, "on_hand", 8)
	for _, c := range []struct{ path, has string }{
		{"/api/orders?subject_id=" + who, id},
		{"/api/orders?since=2011-07-30&until=2011-07-30&country=GB&state=confirmed", id},
		{"/api/orders?reference=inv-" + who, id},
		{"/api/order-lines?subject_id=" + who, `"sku":"` + a + `"`},
		{"/api/sales?since=2011-07-30&until=2011-07-30&sku=" + a, `"amount":"4.00"`},
		{"/api/sales/days?since=2011-07-30&until=2011-07-30", `"day":"2011-07-30"`},
		{"/api/sales/products?sku=" + a, `"sold":2`},
		{"/api/stock/" + a + "/movements?kind=shipped", id},
		{"/api/shipments?state=dispatched", ""},
		{"/api/captures?order_id=" + id, `"state":"captured"`},
	} {
		if got := s.Call(t, 200, s.Staff("GET", c.path, "", nil)); !strings.Contains(string(got.Body), c.has) {
			t.Errorf("GET %s answered %s, without %s", c.path, got, c.has)
		}
	}
	sheet := s.Staff("GET", "/api/orders?subject_id="+who, "", nil)
	sheet.Header = map[string]string{"Accept": "text/csv"}
	got := s.Call(t, 200, sheet)
	rows, err := csv.NewReader(strings.NewReader(string(got.Body))).ReadAll()
	if err != nil || len(rows) != 2 || !strings.Contains(strings.Join(rows[1], " "), id) {
		t.Errorf("the spreadsheet is %s (%v)", got, err)
	}
}

func mailed(t *testing.T, s *shop.Shop) {
	a, who := sku(t), "cust"+sku(t)
	s.Goods(t, 10, a)
	s.Customer(t, who, "john@example.com")
	id := s.Call(t, 201, s.Desk("inv-"+who, who, a, 1, "2.00")).Text("id")
	s.Call(t, 200, s.Dispatch(id, "d-"+id))
	s.Becomes(t, id, "payment_state", "captured")
	s.Call(t, 201, s.Return(id, "r-"+id))
	for _, kind := range []string{"order_confirmed", "order_dispatched", "order_refunded"} {
		shop.Eventually(t, kind+" is mailed", func() bool {
			list := s.Call(t, 200, s.Staff("GET", "/api/mails?state=sent&order_id="+id, "", nil))
			return strings.Contains(string(list.Body), kind)
		})
	}
	files, err := filepath.Glob(filepath.Join(s.Dir, "mail", "*.eml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%d mails lie in the data folder, %v", len(files), err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err != nil || !strings.Contains(string(text), "john@example.com") {
			t.Errorf("%s is not to John: %v", fmt.Sprint(f), err)
		}
	}
}
