package orders_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// dispatched is what shipping says of an order whose first line has left.
func (f *front) dispatched(orderID string) {
	f.Helper()
	data, err := proto.Marshal(&shippingv1.ShipmentDispatched{
		OrderId: orderID, ParcelId: "prc_1", Lines: []*shippingv1.ParcelLine{{Line: 1, Quantity: 2}}, Last: true, DispatchedAt: timestamppb.Now(),
	})
	f.must(err)
	f.must(f.ship.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := f.sent.Append(tx, orderID, eventlog.Any, eventlog.Event{
			Type: "souk.shipping.v1.ShipmentDispatched", Schema: 1, Data: data, Meta: eventlog.Meta{Time: time.Now()},
		})
		return err
	}))
}

// becomes waits until an order reads so.
func (f *front) becomes(orderID, member, value string) string {
	f.Helper()
	var answer string
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, _, answer = f.ask(staff, "GET", "/api/orders/"+orderID, "", ""); f.member(answer, member) == value {
			return answer
		}
		if time.Now().After(end) {
			f.Fatalf("%s never became %s: %s", member, value, answer)
		}
	}
}

func TestAnOrderGoesThroughItsAfterSaleByTheContract(t *testing.T) {
	f := open(t)
	_, _, placed := f.ask(owner, "POST", "/api/checkout", "k1", order("authorized"))
	id := f.member(placed, "id")
	f.dispatched(id)
	read := f.becomes(id, "payment_state", "captured")
	if !strings.Contains(read, `"captured":{"currency":"GBP","amount":"9.05"}`) || f.member(read, "fulfilment_state") != "dispatched" {
		t.Errorf("the order is %s", read)
	}
	status, _, returned := f.ask(staff, "POST", "/api/orders/"+id+"/returns", "r1", `{"received":true,"lines":[{"line":1,"quantity":1}]}`)
	if status != 201 || f.member(returned, "state") != "received" || !strings.Contains(returned, `"refund":{"currency":"GBP","amount":"2.55"}`) {
		t.Fatalf("the return answered %d %s", status, returned)
	}
	if _, _, again := f.ask(staff, "POST", "/api/orders/"+id+"/returns", "r1", `{"received":true,"lines":[{"line":1,"quantity":1}]}`); again != returned {
		t.Errorf("the same key got %s, first %s", again, returned)
	}
	status, _, refund := f.ask(staff, "POST", "/api/orders/"+id+"/refunds", "f1", `{"amount":{"currency":"GBP","amount":"1.00"},"reason":"goodwill"}`)
	if status != 202 || f.member(refund, "state") != "pending" {
		t.Fatalf("the refund answered %d %s", status, refund)
	}
	f.becomes(id, "payment_state", "partly_refunded")
	if status, _, no := f.ask(staff, "POST", "/api/orders/"+id+"/cancel", "", `{}`); status != 409 || f.member(no, "code") != "already_dispatched" {
		t.Errorf("canceling it answered %d %s", status, no)
	}
}

func TestAnOrderIsCanceledByTheContract(t *testing.T) {
	f := open(t)
	_, _, placed := f.ask(owner, "POST", "/api/checkout", "k1", order("authorized"))
	id := f.member(placed, "id")
	if status, _, no := f.ask(owner, "POST", "/api/orders/"+id+"/capture", "c1", `{}`); status != 403 {
		t.Errorf("a shopper who captures got %d %s", status, no)
	}
	status, _, answer := f.ask(owner, "POST", "/api/orders/"+id+"/cancel", "", `{"reason":"changed my mind"}`)
	if status != 200 || f.member(answer, "state") != "canceled" {
		t.Fatalf("canceling answered %d %s", status, answer)
	}
	if status, _, no := f.ask(staff, "POST", "/api/orders/"+id+"/capture", "c2", `{}`); status != 409 || f.member(no, "code") != "order_canceled" {
		t.Errorf("capturing a canceled order answered %d %s", status, no)
	}
}

func TestTheDeskOrdersByTheContract(t *testing.T) {
	f := open(t)
	desk := staff
	body := `{"subject_id":"17850","reference":"536365","price_reason":"as on the invoice","payment":{"token":"authorized"},
		"lines":[{"sku":"85123A","quantity":2,"unit_price":{"currency":"GBP","amount":"1.99"}}]}`
	if status, _, no := f.ask(desk, "POST", "/api/desk/orders", "d1", body); status != 403 || f.member(no, "code") != "scope_required" {
		t.Fatalf("a staff key without the scope got %d %s", status, no)
	}
	desk.Scopes = []string{"desk"}
	status, _, placed := f.ask(desk, "POST", "/api/desk/orders", "d1", body)
	if status != 201 || f.member(placed, "reference") != "536365" || !strings.Contains(placed, `"list_price":{"currency":"GBP","amount":"2.55"}`) {
		t.Fatalf("the desk got %d %s", status, placed)
	}
	if _, _, again := f.ask(desk, "POST", "/api/desk/orders", "d1", body); again != placed {
		t.Errorf("the same key got %s, first %s", again, placed)
	}
	for field, wrong := range map[string]string{
		"expected_total":      strings.Replace(body, `"reference"`, `"expected_total":{"currency":"GBP","amount":"1"},"reference"`, 1),
		"lines[0].unit_price": strings.Replace(body, `"1.99"`, `"1.999"`, 1),
		"subject_id":          strings.Replace(body, `"17850"`, `"1"`, 1),
		"payment.credit":      strings.Replace(body, `"token"`, `"credit":{"currency":"GBP","amount":"x"},"token"`, 1),
	} {
		status, _, no := f.ask(desk, "POST", "/api/desk/orders", "d-"+strings.Map(letters, field), wrong)
		if status < 400 || status >= 500 || field != "expected_total" && !strings.Contains(no, `"field":"`+field+`"`) {
			t.Errorf("a wrong %s got %d %s", field, status, no)
		}
	}
}

// letters are what may stand in a key.
func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}
