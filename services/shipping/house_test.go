package shipping_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/faultbus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/kit/rpc"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/services/shipping"
	"github.com/seed-21071466/souk/services/shipping/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// orders is a room that only says what a test tells it to, twice, late and out of order.
type orders struct {
	store     *sqlstore.Store
	log       *eventlog.Log
	faultless bool
}

func (o *orders) room() room.Room {
	return room.Room{Name: "orders", Open: func(ctx context.Context, env *room.Env) (room.Opened, error) {
		var err error
		o.store, err = sqlstoretest.Open(ctx, filepath.Join(env.Dir, "orders.db"), sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
		if err != nil {
			return nil, err
		}
		if o.log, err = eventlog.New(o.store); err != nil {
			return nil, err
		}
		feed := bus.FeedOf("orders", o.log, nil)
		if !o.faultless {
			feed = faultbus.Wrap(feed, faultbus.Options{Seed: 7})
		}
		env.Bus.Publish(feed)
		return o, nil
	}}
}

func (o *orders) Close(context.Context) error { return o.store.Close() }

func (o *orders) confirm(t *testing.T, order string, items ...*ordersv1.Item) {
	t.Helper()
	data, err := proto.Marshal(&ordersv1.OrderConfirmed{OrderId: order, SubjectId: "sub_1", AddressId: "adr_1", Items: items})
	must(t, err)
	must(t, o.store.Update(context.Background(), func(tx sqlstore.Tx) error {
		_, err := o.log.Append(tx, order, eventlog.Any, eventlog.Event{Type: "souk.orders.v1.OrderConfirmed", Schema: 1, Data: data})
		return err
	}))
}

// items are six A and, at another price, two more; and one B.
func items() []*ordersv1.Item {
	return []*ordersv1.Item{{Line: 1, Sku: "A", Quantity: 6}, {Line: 2, Sku: "A", Quantity: 2}, {Line: 3, Sku: "B", Quantity: 1}}
}

// house is shipping beside orders, opened as a process opens them.
type house struct {
	t      testing.TB
	dir    string
	config shipping.Config
	silent bool // nothing of what orders says arrives

	faultless bool // what orders says arrives as it was said
	orders    *orders
	rpc       *rpc.Server
	bus       *bus.Bus
	close     func()
}

func open(t *testing.T) *house { return start(&house{t: t}) }

func start(h *house) *house {
	h.dir = h.t.TempDir()
	h.open()
	h.t.Cleanup(func() { h.close() })
	return h
}

func (h *house) open() {
	h.t.Helper()
	log := slog.New(slog.DiscardHandler)
	h.rpc, h.bus, h.orders = rpc.NewServer(rpc.Options{Log: log}), bus.New(bus.Options{}), &orders{faultless: h.faultless}
	rooms, err := room.Open(context.Background(), room.Shared{
		Shop: "shop", Dir: h.dir, Stores: sqlstoretest.Stores(h.dir), RPC: h.rpc, Bus: h.bus, Log: log,
	},
		h.orders.room(), shipping.Room(h.config))
	must(h.t, err)
	var work sync.WaitGroup
	if !h.silent {
		work.Go(func() {
			if err := h.bus.Run(context.Background()); err != nil {
				h.t.Error(err)
			}
		})
	}
	h.close = sync.OnceFunc(func() {
		h.bus.Close()
		work.Wait()
		must(h.t, rooms.Close(context.Background()))
	})
}

func (h *house) restart() { h.close(); h.open() }

// edge asks as the front door does, for a principal.
func (h *house) edge(p auth.Principal) (shippingv1.ShippingClient, context.Context) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), rpc.KeyPrincipal, p.Encode())
	return shippingv1.NewShippingClient(h.rpc.Edge("shipping")), ctx
}

var staff = auth.Principal{Kind: auth.Staff, ID: "key"}

// dispatch hands over some lines, by number and pieces, or all that is left.
func (h *house) dispatch(key, order string, lines ...int32) (*shippingv1.Shipment, error) {
	req := &shippingv1.DispatchRequest{OrderId: order, Carrier: "Royal Mail", TrackingNumber: "RM1"}
	for i := 0; i < len(lines); i += 2 {
		req.Lines = append(req.Lines, &shippingv1.ParcelLine{Line: lines[i], Quantity: lines[i+1]})
	}
	return h.ask(key, req)
}

func (h *house) ask(key string, req *shippingv1.DispatchRequest) (*shippingv1.Shipment, error) {
	client, ctx := h.edge(staff)
	if key != "" {
		ctx = rpc.WithIdempotencyKey(ctx, key, sha256.Sum256([]byte(fmt.Sprint(req))))
	}
	return client.Dispatch(ctx, req)
}

// stop asks as the orders room does.
func (h *house) stop(order string) (*shippingv1.StopResponse, error) {
	return shippingv1.NewShippingClient(h.rpc.Dial("orders", "shipping")).
		Stop(context.Background(), &shippingv1.StopRequest{OrderId: order, Reason: "changed their mind"})
}

func (h *house) get(p auth.Principal, order string) (*shippingv1.Shipment, error) {
	client, ctx := h.edge(p)
	return client.GetShipment(ctx, &shippingv1.GetShipmentRequest{OrderId: order})
}

// findings reads all pages.
func (h *house) findings() *typev1.FindingsResponse {
	h.t.Helper()
	client, ctx := h.edge(staff)
	all, err := client.Findings(ctx, &typev1.FindingsRequest{})
	must(h.t, err)
	for next := all.NextPageToken; next != ""; {
		page, err := client.Findings(ctx, &typev1.FindingsRequest{PageToken: next})
		must(h.t, err)
		all.Findings, all.Checked, next = append(all.Findings, page.Findings...), all.Checked+page.Checked, page.NextPageToken
	}
	return all
}

// settle waits until shipping has heard all that orders said.
func (h *house) settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	must(h.t, h.bus.WaitFor(ctx, wire.FollowsOrders, "orders", h.orders.log.Head()))
}

// said reads what shipping says in public of an order, beside the running room.
func (h *house) said(order string) (dispatched []*shippingv1.ShipmentDispatched, tracked []*shippingv1.ParcelTracked) {
	h.t.Helper()
	ctx := context.Background()
	store, err := sqlstoretest.Open(ctx, filepath.Join(h.dir, "shipping.db"), sqlstore.Options{})
	must(h.t, err)
	defer store.Close()
	log, err := eventlog.New(store)
	must(h.t, err)
	records, err := bus.FeedOf("shipping", log, wire.Publish).After(ctx, 0, eventlog.LimitMax)
	must(h.t, err)
	for _, r := range records {
		switch {
		case r.Subject != order || r.Type == "":
		case r.Type == "souk.shipping.v1.ShipmentDispatched":
			m := new(shippingv1.ShipmentDispatched)
			must(h.t, proto.Unmarshal(r.Data, m))
			dispatched = append(dispatched, m)
		case r.Type == "souk.shipping.v1.ParcelTracked":
			m := new(shippingv1.ParcelTracked)
			must(h.t, proto.Unmarshal(r.Data, m))
			tracked = append(tracked, m)
		default:
			h.t.Errorf("said %s", r.Type)
		}
	}
	return dispatched, tracked
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
