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
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory"
	"github.com/seed-21071466/souk/services/inventory/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// orders is a room that only says what a test tells it to, twice, late and out of order.
type orders struct {
	store *sqlstore.Store
	log   *eventlog.Log
}

func (o *orders) room() room.Room {
	return room.Room{Name: "orders", Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
		var err error
		o.store, err = sqlstore.Open(ctx, filepath.Join(env.Dir, "orders.db"), sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
		if err != nil {
			return nil, err
		}
		if o.log, err = eventlog.New(o.store); err != nil {
			return nil, err
		}
		env.Bus.Publish(faultbus.Wrap(bus.FeedOf("orders", o.log, nil), faultbus.Options{Seed: 7}))
		return o, nil
	}}
}

func (o *orders) Close(context.Context) error { return o.store.Close() }

func (o *orders) confirm(t *testing.T, order string, items ...*ordersv1.Item) {
	t.Helper()
	data, err := proto.Marshal(&ordersv1.OrderConfirmed{OrderId: order, Items: items})
	must(t, err)
	must(t, o.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := o.log.Append(tx, order, eventlog.Any, eventlog.Event{Type: "souk.orders.v1.OrderConfirmed", Schema: 1, Data: data})
		return err
	}))
}

// house is inventory beside orders, opened as a process opens them.
type house struct {
	t      *testing.T
	dir    string
	orders *orders
	rpc    *rpc.Server
	bus    *bus.Bus
	close  func()
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
	h.rpc, h.bus, h.orders = rpc.NewServer(rpc.Options{Log: log}), bus.New(bus.Options{}), &orders{}
	rooms, err := room.Open(context.Background(), room.Shared{Shop: "shop", Dir: h.dir, RPC: h.rpc, Bus: h.bus, Log: log},
		h.orders.room(), inventory.Room(inventory.Config{}))
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

// settle waits until inventory has heard all that orders said.
func (h *house) settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(h.t, h.bus.WaitFor(ctx, wire.FollowsOrders, "orders", h.orders.log.Head()))
}

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
		h.orders.confirm(t, order, two)
		if i%3 == 0 {
			h.orders.confirm(t, order, two) // said twice by the source itself
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
	want := []*typev1.ConsumerPosition{{Consumer: "inventory.orders", Source: "orders", Position: h.orders.log.Head()}}
	if len(answer.Consumers) != 1 || !proto.Equal(answer.Consumers[0], want[0]) {
		t.Errorf("consumers %v, want %v", answer.Consumers, want)
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
	answer, err := h.inner().Availability(context.Background(), &inventoryv1.AvailabilityRequest{Skus: []string{"B", "A", "none"}})
	must(t, err)
	want := []*inventoryv1.Available{{Sku: "B", Backorder: true, BackorderLeft: 4}, {Sku: "A", Available: 3}, {Sku: "none"}}
	for i := range want {
		if !proto.Equal(want[i], answer.Items[i]) {
			t.Errorf("told %v, want %v", answer.Items[i], want[i])
		}
	}
}

func TestOnlyRoomsMayHold(t *testing.T) {
	h := open(t)
	client, ctx := h.staff()
	_, err := client.Hold(ctx, &inventoryv1.HoldRequest{OrderId: "o", RunId: "o", Lines: []*inventoryv1.HoldLine{{Sku: "A", Quantity: 1}}})
	if err == nil {
		t.Error("the front door may hold")
	}
}
