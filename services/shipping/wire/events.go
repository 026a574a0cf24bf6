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
	"github.com/seed-21071466/souk/services/shipping/app"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// FollowsOrders is the name of the room's consumer.
const FollowsOrders = "shipping.orders"

const (
	orders         = "orders" // the room that it follows
	orderConfirmed = "souk.orders.v1.OrderConfirmed"
	contract       = "souk.shipping.v1."
)

// gather is how long confirmations come together. Staff that dispatches at once waits for it.
const gather = 10 * time.Millisecond

// Follow is the room's consumer of orders.
func Follow(a *app.Shipping) bus.Consumer {
	return bus.Consumer{
		Name: FollowsOrders, Source: orders, From: bus.FromStart, Store: a.Store, Gather: gather,
		HandleAll: map[string]bus.BatchHandler{
			orderConfirmed: func(tx sqlstore.Tx, events []bus.Event) error { return open(a, tx, events) },
		},
	}
}

// open opens the shipments of confirmed orders. Of who ordered it keeps the subject's id alone.
func open(a *app.Shipping, tx sqlstore.Tx, events []bus.Event) error {
	all := make([]app.Confirmation, len(events))
	for i, ev := range events {
		var confirmed ordersv1.OrderConfirmed
		if err := proto.Unmarshal(ev.Data, &confirmed); err != nil {
			return fmt.Errorf("read %s: %w", ev.ID, err)
		}
		all[i] = app.Confirmation{Order: confirmed.OrderId, Subject: confirmed.SubjectId, Lines: make([]shipment.Line, len(confirmed.Items))}
		for k, item := range confirmed.Items {
			all[i].Lines[k] = shipment.Line{Number: item.GetLine(), SKU: item.GetSku(), Quantity: item.GetQuantity()}
		}
	}
	return a.OpenAll(tx, all)
}

// Publish is what a record of the room's log says in public; that a shipment was stopped is told to who asked for it.
func Publish(r eventlog.Recorded) (typ string, data []byte, err error) {
	switch r.Type {
	case app.EventDispatched, app.EventTracked:
		return contract + r.Type, r.Data, nil
	}
	return "", nil, nil
}

// Words says in the contract's words what happened.
type Words struct{}

// Dispatched says that a parcel has left.
func (Words) Dispatched(s *shipment.Shipment, p *shipment.Parcel) []byte {
	return data(&shippingv1.ShipmentDispatched{
		OrderId: s.Order, ParcelId: p.ID, SubjectId: s.Subject, Lines: pieces(p.Pieces), Last: s.State == shipment.Dispatched,
		Carrier: p.Carrier, TrackingNumber: p.TrackingNumber, DispatchedAt: timestamppb.New(p.DispatchedAt),
	})
}

// Tracked says where a parcel is.
func (Words) Tracked(s *shipment.Shipment, parcel string, e shipment.Entry) []byte {
	return data(&shippingv1.ParcelTracked{
		OrderId: s.Order, ParcelId: parcel, SubjectId: s.Subject, Status: string(e.Status), At: timestamppb.New(e.At),
	})
}

func data(m proto.Message) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		panic("encode " + string(m.ProtoReflect().Descriptor().FullName()) + ": " + err.Error()) // only for text that is not UTF-8, which the wire refuses
	}
	return data
}
