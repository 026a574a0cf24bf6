package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

func (s *shop) desk(key string, d app.DeskOrder) (app.Answer, error) {
	d.Key, d.Meta = s.key("desk", key, "body"), s.meta()
	if d.SubjectID == "" {
		d.SubjectID = "17850"
	}
	if d.Token == "" {
		d.Token = "authorized"
	}
	return s.app.PlaceDesk(context.Background(), clerk, d)
}

func TestTheDeskOrdersAtPricesOfItsOwnAndSaysWhy(t *testing.T) {
	s := open(t)
	d := app.DeskOrder{
		Reference: "536365", PriceReason: "as on the invoice", SoldAt: noon.Add(-time.Hour),
		Lines: []app.QuoteLine{{SKU: "85123A", Quantity: 2, UnitPrice: gbp(210)}, {SKU: "85123A", Quantity: 1}},
	}
	a, err := s.desk("d1", d)
	s.must(err)
	o := a.Order
	if o.Status != order.Confirmed || o.Totals.Total != 675 || o.Reference != "536365" || !o.SoldAt.Equal(d.SoldAt) || o.CartID != "" {
		t.Fatalf("the order is %+v", o.Placed)
	}
	if l := o.Lines; l[0].ListPrice == nil || *l[0].ListPrice != 255 || l[1].ListPrice != nil || l[0].Title != "Title of 85123A" {
		t.Errorf("its lines are %+v", l)
	}
	history, err := s.app.History(context.Background(), o.ID)
	s.must(err)
	if m := history[0].Meta; m.Actor != "staff:key" || m.OnBehalfOf != "subject:17850" || m.Reason != "as on the invoice" {
		t.Errorf("its making is %+v", m)
	}
	again, err := s.desk("d1", d)
	if err != nil || again.Order.ID != o.ID {
		t.Errorf("the same key gave %s, %v", again.Order.ID, err)
	}
}

func TestTheDeskRefusesWhatMakesNoSense(t *testing.T) {
	s := open(t)
	line := []app.QuoteLine{{SKU: "85123A", Quantity: 1}}
	own := []app.QuoteLine{{SKU: "85123A", Quantity: 1, UnitPrice: gbp(1)}}
	for _, c := range []struct {
		given string
		d     app.DeskOrder
		field string
	}{
		{"no lines", app.DeskOrder{}, "lines"},
		{"a customer whom nobody knows", app.DeskOrder{SubjectID: "1", Lines: line}, "subject_id"},
		{"a price of its own without a reason", app.DeskOrder{Lines: own}, "price_reason"},
		{"a SKU that the catalog does not have", app.DeskOrder{Lines: []app.QuoteLine{{SKU: "POST", Quantity: 1}}}, "lines[0].sku"},
		{"no pieces", app.DeskOrder{Lines: []app.QuoteLine{{SKU: "85123A"}}}, "lines[0].quantity"},
		{"a negative price", app.DeskOrder{PriceReason: "why", Lines: []app.QuoteLine{{SKU: "85123A", Quantity: 1, UnitPrice: gbp(-1)}}}, "lines[0].unit_price"},
		{"an address that nobody knows", app.DeskOrder{Lines: line, AddressID: "adr_9"}, "address_id"},
		{"a sale in the future", app.DeskOrder{Lines: line, SoldAt: noon.Add(time.Hour)}, "sold_at"},
		{"a reference that is no word", app.DeskOrder{Lines: line, Reference: "a b"}, "reference"},
	} {
		_, err := s.desk("d-"+c.field, c.d)
		if p := problem.Of(err); p == nil || len(p.Violations) == 0 || p.Violations[0].Field != c.field {
			t.Errorf("%s: %v, want a refusal of %s", c.given, err, c.field)
		}
	}
	if _, err := s.desk("d1", app.DeskOrder{Lines: line, Command: app.Command{Expected: gbp(254)}}); !problem.Is(err, "price_changed") {
		t.Errorf("another total gave %v", err)
	}
	if _, err := s.app.PlaceDesk(context.Background(), shopper, app.DeskOrder{SubjectID: "17850", Lines: line}); !problem.Is(err, "staff_only") {
		t.Errorf("a shopper at the desk gave %v", err)
	}
	if n := s.count(`SELECT count(*) FROM events`); n != 0 {
		t.Errorf("%d events were recorded", n)
	}
}
