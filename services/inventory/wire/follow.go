package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// gather is how long facts come together. Nobody waits for them, for until then their pieces stay promised; and a batch
// writes each SKU once, so that one of fifty orders costs half of what five of ten do.
const gather = 200 * time.Millisecond

// Follow is the room's consumers: of orders, for what is confirmed and what comes back; of shipping, for what leaves.
func Follow(inv *app.Inventory) []bus.Consumer {
	return []bus.Consumer{
		{
			Name: FollowsOrders, Source: orders, From: bus.FromStart, Store: inv.Store, Gather: gather,
			HandleAll: map[string]bus.BatchHandler{orderConfirmed: batch(inv.Confirm, confirmation), returnReceived: batch(inv.TakeBack, returned)},
		},
		{
			Name: FollowsShipping, Source: shipping, From: bus.FromStart, Store: inv.Store, Gather: gather,
			HandleAll: map[string]bus.BatchHandler{shipmentDispatched: batch(inv.Ship, dispatch)},
		},
	}
}

// batch reads events of one type and hands them over together.
func batch[F any](handle func(sqlstore.Tx, []F) error, read func(bus.Event) (F, error)) bus.BatchHandler {
	return func(tx sqlstore.Tx, events []bus.Event) error {
		all := make([]F, len(events))
		for i := range events {
			var err error
			if all[i], err = read(events[i]); err != nil {
				return fmt.Errorf("read %s: %w", events[i].ID, err)
			}
		}
		return handle(tx, all)
	}
}

// because is what the answer to an event says of its making.
func because(ev bus.Event) eventlog.Meta {
	return eventlog.Meta{
		Actor: "service:inventory", OnBehalfOf: ev.Meta.OnBehalfOf, Correlation: ev.Meta.Correlation,
		Causation: ev.ID, Trace: ev.Meta.Trace,
	}
}

func confirmation(ev bus.Event) (c app.Confirmation, err error) {
	m := new(ordersv1.OrderConfirmed)
	err = proto.Unmarshal(ev.Data, m)
	return app.Confirmation{Order: m.OrderId, Lines: lines(m.Items), Meta: because(ev)}, err
}

func dispatch(ev bus.Event) (app.Dispatch, error) {
	m := new(shippingv1.ShipmentDispatched)
	err := proto.Unmarshal(ev.Data, m)
	return app.Dispatch{Order: m.OrderId, Parcel: m.ParcelId, Lines: lines(m.Lines), At: moment(m.DispatchedAt), Meta: because(ev)}, err
}

func returned(ev bus.Event) (app.Return, error) {
	m := new(ordersv1.ReturnReceived)
	err := proto.Unmarshal(ev.Data, m)
	back := make([]stock.Back, len(m.Items))
	for i, item := range m.Items {
		back[i] = stock.Back{Line: stock.Line{SKU: item.GetSku(), Quantity: int(item.GetQuantity())}, WriteOff: item.GetWriteOff()}
	}
	return app.Return{Order: m.OrderId, ID: m.ReturnId, Back: back, At: moment(m.ReceivedAt), Meta: because(ev)}, err
}

// line is what the lines of these events have in common.
type line interface {
	GetSku() string
	GetQuantity() int32
}

func lines[L line](list []L) []stock.Line {
	lines := make([]stock.Line, 0, len(list))
	for _, l := range list {
		if l.GetQuantity() > 0 {
			lines = append(lines, stock.Line{SKU: l.GetSku(), Quantity: int(l.GetQuantity())})
		}
	}
	return lines
}

// moment is when a fact happened; none when its event does not say.
func moment(t *timestamppb.Timestamp) time.Time {
	if !t.IsValid() || t.AsTime().Unix() <= 0 {
		return time.Time{}
	}
	return t.AsTime()
}
