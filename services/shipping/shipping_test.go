package shipping_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/shipping"
)

func TestConfirmationsOpenOneShipmentHoweverTheyArrive(t *testing.T) {
	h := open(t)
	for i := range 20 {
		order := fmt.Sprintf("ord_%02d", i)
		if i%5 == 0 {
			_, err := h.stop(order) // before its confirmation
			must(t, err)
		}
		h.orders.confirm(t, order, items()...)
		if i%3 == 0 {
			h.orders.confirm(t, order, items()...) // said twice by the source itself
		}
		if i == 10 {
			h.restart()
		}
	}
	h.settle()
	h.restart()
	h.settle()
	for i := range 20 {
		want := "open"
		if i%5 == 0 {
			want = "stopped"
		}
		s, err := h.get(staff, fmt.Sprintf("ord_%02d", i))
		if err != nil || s.State != want || len(s.Lines) != 3 || s.OpenedAt == nil {
			t.Errorf("order %d is %v, %v; want %s", i, s, err, want)
		}
	}
	answer := h.findings()
	if len(answer.Findings) > 0 || answer.Checked < 80 || answer.Head != 4 { // four stops were noted
		t.Errorf("findings %v", answer)
	}
	want := &typev1.ConsumerPosition{Consumer: "shipping.orders", Source: "orders", Position: h.orders.log.Head()}
	if len(answer.Consumers) != 1 || !proto.Equal(answer.Consumers[0], want) {
		t.Errorf("consumers %v, want %v", answer.Consumers, want)
	}
}

func TestAnOrderMayBeDispatchedAsSoonAsItIsConfirmed(t *testing.T) {
	h := open(t)
	var work sync.WaitGroup
	for i := range 40 {
		work.Go(func() {
			order := fmt.Sprintf("ord_%02d", i)
			h.orders.confirm(t, order, items()...)
			s, err := h.dispatch(order, order)
			if err != nil || s.State != "dispatched" || len(s.Parcels) != 1 {
				t.Errorf("%s is %v, %v", order, s, err)
			}
		})
	}
	work.Wait()
	if found := h.findings().Findings; len(found) > 0 {
		t.Errorf("findings %v", found)
	}
}

func TestAnOrderThatNobodyConfirmedHasNoShipment(t *testing.T) {
	h := open(t)
	h.orders.confirm(t, "ord_1", items()...)
	_, err := h.dispatch("k", "ord_2")
	if p := problem.Of(err); p == nil || p.Code != "shipment_not_found" || p.Kind.HTTP() != 404 {
		t.Errorf("dispatched: %v", err)
	}
	h.orders.confirm(t, "ord_2", items()...)
	if s, err := h.dispatch("k", "ord_2"); err != nil || s.State != "dispatched" {
		t.Errorf("the key of a refused dispatch was used up: %v, %v", s, err)
	}
}

func TestADispatchWaitsNoLongerThanItMay(t *testing.T) {
	h := start(&house{t: t, silent: true, config: shipping.Config{OpenWait: 10 * time.Millisecond}})
	h.orders.confirm(t, "ord_1", items()...)
	if _, err := h.dispatch("k", "ord_1"); !problem.Is(err, "shipment_not_found") {
		t.Errorf("dispatched what has not opened: %v", err)
	}
}

func TestAStopWakesTheDispatchThatWaits(t *testing.T) {
	h := start(&house{t: t, silent: true, config: shipping.Config{OpenWait: time.Minute}})
	h.orders.confirm(t, "ord_1", items()...)
	refused := make(chan error)
	go func() {
		_, err := h.dispatch("k", "ord_1")
		refused <- err
	}()
	_, err := h.stop("ord_1")
	must(t, err)
	if err := <-refused; !problem.Is(err, "shipment_stopped") {
		t.Errorf("dispatched: %v", err)
	}
}

func TestADispatchIsDoneOnceForItsKey(t *testing.T) {
	h := open(t)
	h.orders.confirm(t, "ord_1", items()...)
	if _, err := h.dispatch("", "ord_1", 1, 4); !problem.Is(err, "idempotency_key_required") {
		t.Errorf("without a key: %v", err)
	}
	first, err := h.dispatch("k", "ord_1", 1, 4)
	must(t, err)
	_, err = h.dispatch("l", "ord_1", 1, 1)
	must(t, err)
	_, err = h.stop("ord_1")
	must(t, err)
	h.restart()
	again, err := h.dispatch("k", "ord_1", 1, 4) // it would be refused by now
	if err != nil || !proto.Equal(first, again) {
		t.Errorf("again it is %v, %v; was %v", again, err, first)
	}
	if _, err := h.dispatch("k", "ord_1", 1, 5); !problem.Is(err, "idempotency_key_reused") {
		t.Errorf("another body under the key of a stopped order: %v", err)
	}
	h.orders.confirm(t, "ord_2", items()...)
	if _, err := h.dispatch("k", "ord_2"); !problem.Is(err, "idempotency_key_reused") || problem.Of(err).Kind.HTTP() != 422 {
		t.Errorf("another order under the key: %v", err)
	}
	if said, _ := h.said("ord_1"); len(said) != 2 {
		t.Errorf("said %v", said)
	}
}

func TestAParcelIsSaid(t *testing.T) {
	h := open(t)
	h.orders.confirm(t, "ord_1", items()...)
	left := time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC)
	first, err := h.ask("a", &shippingv1.DispatchRequest{
		OrderId: "ord_1", Lines: []*shippingv1.ParcelLine{{Line: 2, Quantity: 1}}, DispatchedAt: timestamppb.New(left),
	})
	must(t, err)
	second, err := h.dispatch("b", "ord_1")
	must(t, err)
	if first.State != "partly_dispatched" || second.State != "dispatched" || second.Lines[1].Dispatched != 2 {
		t.Errorf("%v, then %v", first, second)
	}
	said, _ := h.said("ord_1")
	want := []*shippingv1.ShipmentDispatched{
		{
			OrderId: "ord_1", SubjectId: "sub_1", ParcelId: first.Parcels[0].Id, DispatchedAt: timestamppb.New(left),
			Lines: []*shippingv1.ParcelLine{{Line: 2, Sku: "A", Quantity: 1}},
		},
		{
			OrderId: "ord_1", SubjectId: "sub_1", ParcelId: second.Parcels[1].Id, DispatchedAt: second.Parcels[1].DispatchedAt,
			Lines: []*shippingv1.ParcelLine{{Line: 1, Sku: "A", Quantity: 6}, {Line: 2, Sku: "A", Quantity: 1}, {Line: 3, Sku: "B", Quantity: 1}},
			Last:  true, Carrier: "Royal Mail", TrackingNumber: "RM1",
		},
	}
	for i := range want {
		if len(said) != len(want) || !proto.Equal(said[i], want[i]) {
			t.Errorf("said %v, want %v", said, want)
		}
	}
}

func TestTrackingIsKeptAndSaidOnce(t *testing.T) {
	h := open(t)
	h.orders.confirm(t, "ord_1", items()...)
	s, err := h.dispatch("k", "ord_1")
	must(t, err)
	client, ctx := h.edge(staff)
	delivered := &shippingv1.TrackRequest{
		OrderId: "ord_1", ParcelId: s.Parcels[0].Id, Status: "delivered", At: timestamppb.New(time.Now().Add(-time.Hour)), Note: "left with neighbour",
	}
	for range 2 {
		s, err = client.Track(ctx, delivered)
		must(t, err)
	}
	late := &shippingv1.TrackRequest{
		OrderId: "ord_1", ParcelId: s.Parcels[0].Id, Status: "in_transit", At: timestamppb.New(time.Now().Add(-2 * time.Hour)),
	}
	s, err = client.Track(ctx, late)
	must(t, err)
	p := s.Parcels[0]
	if p.Status != "delivered" || len(p.Tracking) != 2 || p.Tracking[0].Status != "in_transit" || p.Tracking[1].Note != "left with neighbour" {
		t.Errorf("tracked as %v", p)
	}
	if read, err := h.get(staff, "ord_1"); err != nil || !proto.Equal(read, s) {
		t.Errorf("read as %v, %v; was %v", read, err, s)
	}
	if _, err := client.Track(ctx, &shippingv1.TrackRequest{OrderId: "ord_1", ParcelId: "prc_0", Status: "failed"}); !problem.Is(err, "parcel_not_found") {
		t.Errorf("another parcel: %v", err)
	}
	if _, err := client.Track(ctx, &shippingv1.TrackRequest{OrderId: "ord_2", ParcelId: "prc_0", Status: "failed"}); !problem.Is(err, "shipment_not_found") {
		t.Errorf("another order: %v", err)
	}
	if _, said := h.said("ord_1"); len(said) != 2 || said[0].Status != "delivered" || said[0].SubjectId != "sub_1" || said[0].ParcelId != p.Id {
		t.Errorf("said %v", said)
	}
}

func TestWhoMaySeeAShipment(t *testing.T) {
	h := open(t)
	h.orders.confirm(t, "ord_1", items()...)
	h.settle()
	for name, c := range map[string]struct {
		who  auth.Principal
		sees bool
	}{
		"the staff":                           {staff, true},
		"the holder of the order's token":     {auth.Principal{Kind: auth.Bearer, ID: "ord_1"}, true},
		"the holder of another order's token": {auth.Principal{Kind: auth.Bearer, ID: "ord_2"}, false},
		"a customer":                          {auth.Principal{Kind: auth.Customer, ID: "ord_1"}, false},
	} {
		s, err := h.get(c.who, "ord_1")
		if c.sees && (err != nil || s.State != "open") || !c.sees && !problem.Is(err, "shipment_not_found") {
			t.Errorf("%s sees %v, %v", name, s, err)
		}
	}
	if _, err := h.get(staff, "ord_2"); !problem.Is(err, "shipment_not_found") {
		t.Errorf("no order: %v", err)
	}
	client, ctx := h.edge(staff)
	if _, err := client.Stop(ctx, &shippingv1.StopRequest{OrderId: "ord_1"}); err == nil {
		t.Error("the front door may stop")
	}
}

func TestShipmentsAreListedByOrder(t *testing.T) {
	h := open(t)
	for i := range 7 {
		h.orders.confirm(t, fmt.Sprint("ord_", i), items()...)
	}
	h.settle()
	_, err := h.dispatch("a", "ord_1", 1, 1)
	must(t, err)
	_, err = h.dispatch("b", "ord_2")
	must(t, err)
	_, err = h.stop("ord_3")
	must(t, err)
	for state, want := range map[string]string{
		"": "0123456", "open": "0456", "partly_dispatched": "1", "dispatched": "2", "stopped": "3",
	} {
		if got := h.list(state); got != want {
			t.Errorf("%q are %s, want %s", state, got, want)
		}
	}
}

// list reads pages of two and gives the last letters of the orders.
func (h *house) list(state string) (found string) {
	h.t.Helper()
	client, ctx := h.edge(staff)
	for next := ""; ; {
		page, err := client.ListShipments(ctx, &shippingv1.ListShipmentsRequest{State: state, PageSize: 2, PageToken: next})
		must(h.t, err)
		for _, s := range page.Shipments {
			found += s.OrderId[len(s.OrderId)-1:]
		}
		if next = page.NextPageToken; next == "" {
			return found
		}
	}
}

func TestBadInputNamesTheField(t *testing.T) {
	h := open(t)
	h.orders.confirm(t, "ord_1", items()...)
	h.settle()
	client, ctx := h.edge(staff)
	for field, ask := range map[string]func() error{
		"order_id": func() error { _, err := h.dispatch("k", "a b"); return err },
		"dispatched_at": func() error {
			_, err := h.ask("k", &shippingv1.DispatchRequest{OrderId: "ord_1", DispatchedAt: timestamppb.New(time.Now().Add(time.Hour))})
			return err
		},
		"lines[0].line": func() error { _, err := h.dispatch("k", "ord_1", 0, 1); return err },
		"lines[1].line": func() error { _, err := h.dispatch("k", "ord_1", 1, 1, 1, 1); return err },
		"status": func() error {
			_, err := client.Track(ctx, &shippingv1.TrackRequest{OrderId: "ord_1", ParcelId: "p", Status: "lost"})
			return err
		},
		"at": func() error {
			_, err := client.Track(ctx, &shippingv1.TrackRequest{OrderId: "ord_1", ParcelId: "p", Status: "failed", At: &timestamppb.Timestamp{Nanos: -1}})
			return err
		},
		"state": func() error {
			_, err := client.ListShipments(ctx, &shippingv1.ListShipmentsRequest{State: "lost"})
			return err
		},
		"page_size": func() error {
			_, err := client.ListShipments(ctx, &shippingv1.ListShipmentsRequest{PageSize: 201})
			return err
		},
		"page_token": func() error {
			_, err := client.ListShipments(ctx, &shippingv1.ListShipmentsRequest{PageToken: "a b"})
			return err
		},
	} {
		if p := problem.Of(ask()); p == nil || p.Kind.HTTP() != 400 || p.Violations[0].Field != field {
			t.Errorf("%s: refused with %v", field, p)
		}
	}
	if s, err := h.get(staff, "ord_1"); err != nil || s.State != "open" {
		t.Errorf("it is %v now, %v", s, err)
	}
}

func TestFindingsNameAPlantedViolation(t *testing.T) {
	for _, c := range []struct{ name, sql, rule string }{
		{"a line sent twice", `UPDATE shipments SET doc = REPLACE(doc, '1 6 4 A', '1 6 9 A')`, "dispatched_within_quantity"},
		{"a parcel that holds less", `UPDATE shipments SET doc = REPLACE(doc, '"lines":"1 4"', '"lines":"1 3"')`, "dispatched_is_sum_of_parcels"},
		{"a state that is not true", `UPDATE shipments SET state = 'dispatched'`, "state_fits_quantities"},
		{"a parcel that nobody was told of", `DELETE FROM events WHERE type = 'ShipmentDispatched'`, "parcel_is_said_once"},
		{"a row that cannot be read", `UPDATE shipments SET doc = '{'`, "shipment_can_be_read"},
		{"a rate that cannot be applied", `UPDATE rates SET doc = REPLACE(doc, '"GBP"', '"XYZ"')`, "rate_applies"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			h.orders.confirm(t, "ord_1", items()...)
			_, err := h.dispatch("k", "ord_1", 1, 4)
			must(t, err)
			if found := h.findings().Findings; len(found) > 0 {
				t.Fatalf("found %v before", found)
			}
			h.close()
			h.corrupt(c.sql)
			h.open()
			found := h.findings().Findings
			for _, f := range found {
				if f.Rule == c.rule && f.Subject != "" {
					return
				}
			}
			t.Errorf("found %v, want %s", found, c.rule)
		})
	}
}

func (h *house) corrupt(sql string) {
	h.t.Helper()
	ctx := context.Background()
	store, err := sqlstoretest.Open(ctx, filepath.Join(h.dir, "shipping.db"), sqlstore.Options{Name: "corrupt"})
	must(h.t, err)
	var changed int64
	must(h.t, store.Update(ctx, func(tx sqlstore.Tx) error { changed, err = tx.Exec(sql); return err }))
	if changed == 0 {
		h.t.Errorf("%s changed nothing", sql)
	}
	must(h.t, store.Close())
}

func TestAFreshShopQuotesItsRates(t *testing.T) {
	h := open(t)
	client, ctx := h.edge(staff)
	quoted, err := client.Rates(ctx, &shippingv1.RatesRequest{Country: "GB", WeightGrams: 400})
	if err != nil || len(quoted.Options) != 2 || quoted.Options[0].Id != "standard" || quoted.Options[0].Price.Amount != "3.95" {
		t.Errorf("quoted %v, %v", quoted, err)
	}
}
