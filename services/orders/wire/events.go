package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Publish gives a record's public event, a function of the record alone; most
// private events say nothing in public.
func Publish(r eventlog.Recorded) (typ string, data []byte, err error) {
	switch r.Type {
	case "OrderPlaced", "OrderConfirmed", "OrderRejected":
	default:
		return "", nil, nil
	}
	e, err := app.Decode(r.Type, r.Schema, r.Data)
	if err != nil {
		return "", nil, err
	}
	m, err := message(r.Stream, e)
	if err != nil {
		return "", nil, err
	}
	data, err = proto.Marshal(m)
	return string(m.ProtoReflect().Descriptor().FullName()), data, err
}

func message(orderID string, e order.Event) (proto.Message, error) {
	switch e := e.(type) {
	case order.Placed:
		return &ordersv1.OrderPlaced{
			OrderId: e.ID, CartId: e.CartID, SubjectId: e.SubjectID, Channel: e.Channel,
			Total: protomoney.Minor(e.Totals.Total, e.Currency), Items: items(order.Items(e.Lines)),
		}, nil
	case order.ConfirmedEvent:
		return &ordersv1.OrderConfirmed{
			OrderId: orderID, CartId: e.CartID, SubjectId: e.SubjectID, AddressId: e.AddressID, Channel: e.Channel,
			Total: protomoney.Minor(e.Total, e.Currency), Items: items(e.Items),
		}, nil
	case order.RejectedEvent:
		return &ordersv1.OrderRejected{OrderId: orderID, CartId: e.CartID, Code: e.Code}, nil
	}
	return nil, fmt.Errorf("publish order %s: %T says nothing in public", orderID, e)
}

func items(pieces []order.Item) []*ordersv1.Item {
	out := make([]*ordersv1.Item, len(pieces))
	for i, p := range pieces {
		out[i] = &ordersv1.Item{Sku: p.SKU, Quantity: p.Quantity}
	}
	return out
}

// Consumers are the names under which orders hears other rooms.
var Consumers = []string{"orders.payments", "orders.inventory"}

// Heard is how the events of a source become facts of orders.
func Heard(a *app.App, source string) map[string]bus.Handler {
	fact := func(read func(data []byte) (orderID string, fact order.Event, err error)) bus.Handler {
		return func(tx sqlstore.Tx, ev bus.Event) error {
			orderID, fact, err := read(ev.Data)
			if err != nil {
				return err
			}
			return a.Hear(tx, orderID, caused(ev), fact)
		}
	}
	if source == "inventory" {
		return map[string]bus.Handler{"souk.inventory.v1.HoldOverdue": overdue(a)}
	}
	return map[string]bus.Handler{
		"souk.payments.v1.PaymentAuthorized": fact(authorized),
		"souk.payments.v1.PaymentDeclined":   fact(declined),
		"souk.payments.v1.PaymentUnknown":    fact(unknown),
		"souk.payments.v1.PaymentVoided":     fact(voided),
		"souk.payments.v1.PaymentFailed":     fact(failed),
	}
}

func overdue(a *app.App) bus.Handler {
	return func(tx sqlstore.Tx, ev bus.Event) error {
		var m inventoryv1.HoldOverdue
		if err := proto.Unmarshal(ev.Data, &m); err != nil {
			return err
		}
		return a.Overdue(tx, m.OrderId, caused(ev))
	}
}

// caused says which event made the next one.
func caused(ev bus.Event) eventlog.Meta {
	m := ev.Meta
	m.Actor, m.Causation = "service:"+ev.Source, ev.ID
	return m
}

func authorized(data []byte) (string, order.Event, error) {
	var m paymentsv1.PaymentAuthorized
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.Authorized{IntentID: m.IntentId, Attempt: int(m.Attempt)}, err
}

func declined(data []byte) (string, order.Event, error) {
	var m paymentsv1.PaymentDeclined
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.Declined{IntentID: m.IntentId, Attempt: int(m.Attempt), Code: m.DeclineCode}, err
}

func unknown(data []byte) (string, order.Event, error) {
	var m paymentsv1.PaymentUnknown
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.Unknown{IntentID: m.IntentId, Attempt: int(m.Attempt)}, err
}

func voided(data []byte) (string, order.Event, error) {
	var m paymentsv1.PaymentVoided
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.Undone{Step: order.StepPay, Outcome: "voided"}, err
}

func failed(data []byte) (string, order.Event, error) {
	var m paymentsv1.PaymentFailed
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.Undone{Step: order.StepPay, Outcome: "failed"}, err
}
