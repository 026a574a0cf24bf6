package inventory_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/inventory"
	"github.com/seed-21071466/souk/services/inventory/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// teller is a room that only says what a test tells it to, twice, late and out of order.
type teller struct {
	name  string
	store *sqlstore.Store
	log   *eventlog.Log
}

func (o *teller) room() room.Room {
	return room.Room{Name: o.name, Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
		var err error
		o.store, err = sqlstoretest.Open(ctx, filepath.Join(env.Dir, o.name+".db"), sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
		if err != nil {
			return nil, err
		}
		if o.log, err = eventlog.New(o.store); err != nil {
			return nil, err
		}
		env.Bus.Publish(faultbus.Wrap(bus.FeedOf(o.name, o.log, nil), faultbus.Options{Seed: 7}))
		return o, nil
	}}
}

func (o *teller) Close(context.Context) error { return o.store.Close() }

// say appends an event to an order's stream.
func (o *teller) say(t *testing.T, order string, m proto.Message) {
	t.Helper()
	data, err := proto.Marshal(m)
	must(t, err)
	must(t, o.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := o.log.Append(tx, order, eventlog.Any, eventlog.Event{Type: string(proto.MessageName(m)), Schema: 1, Data: data})
		return err
	}))
}

// house is inventory beside orders and shipping, opened as a process opens them.
type house struct {
	t                *testing.T
	dir              string
	orders, shipping *teller
	rpc              *rpc.Server
	bus              *bus.Bus
	close            func()
}

func open(t *testing.T) *house {
	h := &house{t: t, dir: t.TempDir()}
	h.open()
	t.Cleanup(func() { h.close() })
	return h
}

func (h *house) open() {
	h.t.Helper()
	log := slog.New(slog.DiscardHandler)
	h.rpc, h.bus = rpc.NewServer(rpc.Options{Log: log}), bus.New(bus.Options{})
	h.orders, h.shipping = &teller{name: "orders"}, &teller{name: "shipping"}
	rooms, err := room.Open(context.Background(), room.Shared{
		Shop: "shop", Dir: h.dir, Stores: sqlstoretest.Stores(h.dir), RPC: h.rpc, Bus: h.bus, Log: log,
	},
		h.orders.room(), h.shipping.room(), inventory.Room(inventory.Config{}))
	must(h.t, err)
	var work sync.WaitGroup
	work.Go(func() {
		if err := h.bus.Run(context.Background()); err != nil {
			h.t.Error(err)
		}
	})
	h.close = sync.OnceFunc(func() {
		h.bus.Close()
		work.Wait()
		must(h.t, rooms.Close(context.Background()))
	})
}

func (h *house) restart() { h.close(); h.open() }

// inner asks as the orders room does.
func (h *house) inner() inventoryv1.InventoryClient {
	return inventoryv1.NewInventoryClient(h.rpc.Dial("orders", "inventory"))
}

// staff asks as the front door does for the staff.
func (h *house) staff() (inventoryv1.InventoryClient, context.Context) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), rpc.KeyPrincipal, auth.Principal{Kind: auth.Staff, ID: "key"}.Encode())
	return inventoryv1.NewInventoryClient(h.rpc.Edge("inventory")), ctx
}

func (h *house) receive(key, sku string, quantity int32) (*inventoryv1.RecordMovementsResponse, error) {
	client, ctx := h.staff()
	if key != "" {
		ctx = rpc.WithIdempotencyKey(ctx, key, sha256.Sum256([]byte(fmt.Sprint(sku, quantity))))
	}
	return client.RecordMovements(ctx, &inventoryv1.RecordMovementsRequest{
		Movements: []*inventoryv1.Movement{{Sku: sku, Kind: "received", Quantity: quantity}},
	})
}

func (h *house) hold(order string, quantity int32) error {
	_, err := h.inner().Hold(context.Background(), &inventoryv1.HoldRequest{
		OrderId: order, RunId: order, Lines: []*inventoryv1.HoldLine{{Sku: "A", Quantity: quantity}},
		Deadline: timestamppb.New(time.Now().Add(time.Minute)),
	})
	return err
}

func (h *house) release(order string) {
	h.t.Helper()
	_, err := h.inner().Release(context.Background(), &inventoryv1.ReleaseRequest{OrderId: order, RunId: order})
	must(h.t, err)
}

func (h *house) stock(sku string) *inventoryv1.Stock {
	h.t.Helper()
	client, ctx := h.staff()
	item, err := client.GetStock(ctx, &inventoryv1.GetStockRequest{Sku: sku})
	must(h.t, err)
	return item
}

func (h *house) findings() *typev1.FindingsResponse {
	h.t.Helper()
	client, ctx := h.staff()
	answer, err := client.Findings(ctx, &typev1.FindingsRequest{})
	must(h.t, err)
	return answer
}

// settle waits until inventory has heard all that the others said.
func (h *house) settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(h.t, h.bus.WaitFor(ctx, wire.FollowsOrders, "orders", h.orders.log.Head()))
	must(h.t, h.bus.WaitFor(ctx, wire.FollowsShipping, "shipping", h.shipping.log.Head()))
}

func (h *house) confirm(order string, items ...*ordersv1.Item) {
	h.t.Helper()
	h.orders.say(h.t, order, &ordersv1.OrderConfirmed{OrderId: order, Items: items})
}

func (h *house) dispatch(order, parcel string, lines ...*shippingv1.ParcelLine) {
	h.t.Helper()
	h.shipping.say(h.t, order, &shippingv1.ShipmentDispatched{
		OrderId: order, ParcelId: parcel, Lines: lines, DispatchedAt: timestamppb.New(left),
	})
}

// left is when parcels leave in these tests.
var left = time.Date(2011, 7, 31, 23, 59, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestConfirmationsCountOnceHoweverTheyArrive(t *testing.T) {
	h := open(t)
	_, err := h.receive("k", "A", 100)
	must(t, err)
	two := &ordersv1.Item{Sku: "A", Quantity: 2}
	for i := range 20 {
		order := fmt.Sprint("ord_", i)
		must(t, h.hold(order, 2))
		if i%5 == 0 {
			h.release(order) // before its confirmation: a fact all the same
		}
		h.confirm(order, two)
		if i%3 == 0 {
			h.confirm(order, two) // said twice by the source itself
		}
		if i == 10 {
			h.restart()
		}
	}
	h.settle()
	h.restart()
	h.settle()
	got := h.stock("A")
	if got.OnHand != 100 || got.Held != 0 || got.Allocated != 40 || got.Available != 60 {
		t.Errorf("A is %v", got)
	}
	answer := h.findings()
	if len(answer.Findings) > 0 || answer.Checked == 0 || answer.Head == 0 {
		t.Errorf("findings %v", answer)
	}
	want := []*typev1.ConsumerPosition{
		{Consumer: "inventory.orders", Source: "orders", Position: h.orders.log.Head()},
		{Consumer: "inventory.shipping", Source: "shipping"},
	}
	for i, c := range answer.Consumers {
		if len(answer.Consumers) != len(want) || !proto.Equal(c, want[i]) {
			t.Errorf("consumers %v, want %v", answer.Consumers, want)
		}
	}
	client, ctx := h.staff()
	holds, err := client.ListHolds(ctx, &inventoryv1.ListHoldsRequest{State: "allocated"})
	if err != nil || len(holds.Holds) != 20 {
		t.Errorf("%d orders are allocated: %v", len(holds.GetHolds()), err)
	}
}

func TestARefusedHoldNamesTheShortLineAcrossTheWire(t *testing.T) {
	h := open(t)
	_, err := h.receive("k", "A", 2)
	must(t, err)
	refusal := problem.Of(h.hold("ord_1", 3))
	if refusal == nil || refusal.Code != "sold_out" || refusal.Kind.HTTP() != 409 {
		t.Fatalf("refused with %v", refusal)
	}
	want := []problem.Violation{{Field: "A", Code: "sold_out", Message: "only 2 left"}}
	if diff := cmp.Diff(want, refusal.Violations); diff != "" {
		t.Error(diff)
	}
}

func TestMovementsNeedAKeyAndAreReplayed(t *testing.T) {
	h := open(t)
	if _, err := h.receive("", "A", 5); !problem.Is(err, "idempotency_key_required") {
		t.Errorf("without a key: %v", err)
	}
	first, err := h.receive("k", "A", 5)
	must(t, err)
	h.restart()
	again, err := h.receive("k", "A", 5)
	if err != nil || !proto.Equal(first, again) {
		t.Errorf("again it is %v, %v; was %v", again, err, first)
	}
	if _, err := h.receive("k", "A", 6); problem.Of(err).Kind.HTTP() != 422 {
		t.Errorf("another body under the key: %v", err)
	}
	m := first.Movements[0]
	if got := h.stock("A"); got.OnHand != 5 || m.LocationId != "main" || m.Quantity != 5 || m.Actor != "staff:key" || m.At == nil {
		t.Errorf("A is %v, recorded as %v", got, m)
	}
}

func TestAvailabilityIsTold(t *testing.T) {
	h := open(t)
	_, err := h.receive("k", "A", 5)
	must(t, err)
	must(t, h.hold("ord_1", 2))
	client, ctx := h.staff()
	_, err = client.PutPolicy(ctx, &inventoryv1.PutPolicyRequest{Sku: "B", Policy: &inventoryv1.Policy{Backorder: true, BackorderLimit: 4}})
	must(t, err)
	carts := inventoryv1.NewInventoryClient(h.rpc.Dial("carts", "inventory"))
	answer, err := carts.Availability(context.Background(), &inventoryv1.AvailabilityRequest{Skus: []string{"B", "A", "none"}})
	must(t, err)
	want := []*inventoryv1.Available{{Sku: "B", Backorder: true, BackorderLeft: 4}, {Sku: "A", Available: 3}, {Sku: "none"}}
	for i := range want {
		if !proto.Equal(want[i], answer.Items[i]) {
			t.Errorf("told %v, want %v", answer.Items[i], want[i])
		}
	}
}

func TestOnlyRoomsMayHoldAndRelease(t *testing.T) {
	h := open(t)
	client, ctx := h.staff()
	lines := []*inventoryv1.HoldLine{{Sku: "A", Quantity: 1}}
	if _, err := client.Hold(ctx, &inventoryv1.HoldRequest{OrderId: "o", RunId: "o", Lines: lines}); err == nil {
		t.Error("the front door may hold")
	}
	if _, err := client.ReleaseLines(ctx, &inventoryv1.ReleaseLinesRequest{OrderId: "o", ReleaseId: "r", Lines: lines}); err == nil {
		t.Error("the front door may release lines")
	}
}

func TestParcelsCountOnceHoweverTheyArrive(t *testing.T) {
	h := open(t)
	_, err := h.receive("k", "A", 100)
	must(t, err)
	line := func(number, quantity int32) *shippingv1.ParcelLine {
		return &shippingv1.ParcelLine{Line: number, Sku: "A", Quantity: quantity}
	}
	for i := range 20 {
		order := fmt.Sprint("ord_", i)
		must(t, h.hold(order, 3))
		confirm := func() {
			h.confirm(order, &ordersv1.Item{Line: 1, Sku: "A", Quantity: 1}, &ordersv1.Item{Line: 2, Sku: "A", Quantity: 2})
		}
		switch i % 4 {
		case 0: // whole, after its confirmation
			confirm()
			h.dispatch(order, "prc_1", line(1, 1), line(2, 2))
		case 1: // in parts, around its confirmation
			h.dispatch(order, "prc_1", line(2, 1))
			confirm()
			h.dispatch(order, "prc_2", line(1, 1))
			h.dispatch(order, "prc_2", line(1, 1)) // said twice by the source itself
		case 2: // canceled but for one piece
			confirm()
			h.releaseLines(order, "released", 2)
			h.dispatch(order, "prc_1", line(1, 1))
		case 3: // and returned in part
			confirm()
			h.dispatch(order, "prc_1", line(1, 1), line(2, 2))
			h.orders.say(t, order, &ordersv1.ReturnReceived{OrderId: order, ReturnId: "ret_1", Items: []*ordersv1.ReturnedItem{
				{Line: 2, Sku: "A", Quantity: 1}, {Line: 1, Sku: "A", Quantity: 1, WriteOff: true},
			}})
		}
		if i == 10 {
			h.restart()
		}
	}
	h.settle()
	h.restart()
	h.settle()
	// 5 orders each: 3 shipped; 2 of 3 shipped; 1 shipped; 3 shipped and 1 restocked.
	if got := h.stock("A"); got.OnHand != 100-5*(3+2+1+2) || got.Held != 0 || got.Allocated != 5 || got.Available != 55 {
		t.Errorf("A is %v", got)
	}
	if answer := h.findings(); len(answer.Findings) > 0 {
		t.Errorf("findings %v", answer.Findings)
	}
	h.listed(map[string]*inventoryv1.OrderHold{
		"ord_0": {State: "shipped", Shipped: map[string]int32{"A": 3}},
		"ord_1": {State: "allocated", Shipped: map[string]int32{"A": 2}, Lines: []*inventoryv1.HeldLine{{Sku: "A", LocationId: "main", Quantity: 1}}},
		"ord_2": {State: "shipped", Shipped: map[string]int32{"A": 1}},
		"ord_3": {State: "shipped", Shipped: map[string]int32{"A": 3}, Returned: map[string]int32{"A": 2}},
	})
}

func (h *house) releaseLines(order, id string, quantity int32) {
	h.t.Helper()
	ask := &inventoryv1.ReleaseLinesRequest{OrderId: order, ReleaseId: id, Lines: []*inventoryv1.HoldLine{{Sku: "A", Quantity: quantity}}}
	for _, want := range []string{"released", "already_released"} {
		answer, err := h.inner().ReleaseLines(context.Background(), ask)
		if err != nil || answer.Outcome != want {
			h.t.Errorf("a release of lines answers %v, %v; want %s", answer, err, want)
		}
	}
}

// listed wants the holds of orders to be listed like that.
func (h *house) listed(want map[string]*inventoryv1.OrderHold) {
	h.t.Helper()
	client, ctx := h.staff()
	answer, err := client.ListHolds(ctx, &inventoryv1.ListHoldsRequest{})
	must(h.t, err)
	found := 0
	for _, hold := range answer.Holds {
		w := want[hold.OrderId]
		if w == nil {
			continue
		}
		found++
		w.OrderId, w.HeldAt, w.Deadline = hold.OrderId, hold.HeldAt, hold.Deadline
		if !proto.Equal(w, hold) {
			h.t.Errorf("listed as %v, want %v", hold, w)
		}
	}
	if found != len(want) {
		h.t.Errorf("%d of %d orders are listed", found, len(want))
	}
}

func TestTheLedgerIsFiltered(t *testing.T) {
	h := open(t)
	_, err := h.receive("k", "A", 9)
	must(t, err)
	must(t, h.hold("ord_1", 2))
	h.dispatch("ord_1", "prc_1", &shippingv1.ParcelLine{Line: 1, Sku: "A", Quantity: 2})
	h.settle()
	client, ctx := h.staff()
	cases := []struct {
		ask   *inventoryv1.ListMovementsRequest
		kinds string
	}{
		{&inventoryv1.ListMovementsRequest{}, "[shipped received]"},
		{&inventoryv1.ListMovementsRequest{Kind: "received"}, "[received]"},
		{&inventoryv1.ListMovementsRequest{OrderId: "ord_1"}, "[shipped]"},
		{&inventoryv1.ListMovementsRequest{Since: "2011-07-31", Until: "2011-07-31"}, "[shipped]"},
		{&inventoryv1.ListMovementsRequest{Until: "2011-07-30"}, "[]"},
		{&inventoryv1.ListMovementsRequest{Since: "2011-08-01"}, "[received]"},
		{&inventoryv1.ListMovementsRequest{PageToken: "mov_0000000000000002"}, "[received]"},
	}
	for _, c := range cases {
		c.ask.Sku = "A"
		page, err := client.ListMovements(ctx, c.ask)
		must(t, err)
		kinds := []string{}
		for _, m := range page.Movements {
			kinds = append(kinds, m.Kind)
			if m.Kind == "shipped" && (m.OrderId != "ord_1" || m.Quantity != 2 || !m.At.AsTime().Equal(left) || m.Id != "mov_0000000000000002") {
				t.Errorf("shipped as %v", m)
			}
		}
		if fmt.Sprint(kinds) != c.kinds {
			t.Errorf("%v lists %v, want %s", c.ask, kinds, c.kinds)
		}
	}
	for field, ask := range map[string]*inventoryv1.ListMovementsRequest{
		"since":      {Sku: "A", Since: "31.7.2011"},
		"until":      {Sku: "A", Until: "2011-02-30"},
		"kind":       {Sku: "A", Kind: "lost"},
		"order_id":   {Sku: "A", OrderId: "no order"},
		"page_token": {Sku: "A", PageToken: "7"},
	} {
		_, err := client.ListMovements(ctx, ask)
		if p := problem.Of(err); p == nil || p.Kind.HTTP() != 400 || len(p.Violations) != 1 || p.Violations[0].Field != field {
			t.Errorf("%v is %+v, want field %s", ask, p, field)
		}
	}
}
