package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	paymentsv1 "github.com/seed-21071466/souk/gen/souk/payments/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
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
	case "OrderPlaced", "OrderConfirmed", "OrderRejected", "OrderCanceled", "ReturnReceived", "PaymentRefunded", "CaptureFailed":
	default:
		return "", nil, nil
	}
	e, err := app.Decode(r.Type, r.Schema, r.Data)
	if err != nil {
		return "", nil, err
	}
	if f, failed := e.(order.CaptureFailed); failed && !f.Due {
		return "", nil, nil // nothing has left for it yet
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
			Total: protomoney.Minor(e.Total, e.Currency), Items: items(e.Items), SoldAt: timestamp(e.SoldAt),
		}, nil
	case order.RejectedEvent:
		return &ordersv1.OrderRejected{OrderId: orderID, CartId: e.CartID, Code: e.Code}, nil
	case order.CanceledEvent:
		return &ordersv1.OrderCanceled{OrderId: orderID, CartId: e.CartID, SubjectId: e.SubjectID, Items: items(e.Items), Whole: e.Whole}, nil
	case order.ReturnReceived:
		return &ordersv1.ReturnReceived{
			OrderId: orderID, ReturnId: e.ID, SubjectId: e.SubjectID, Items: returnedItems(e.Lines), ReceivedAt: timestamp(e.At),
		}, nil
	case order.Refunded:
		return &ordersv1.OrderRefunded{OrderId: orderID, RefundId: e.ID, SubjectId: e.SubjectID, Amount: protomoney.Minor(e.Amount, e.Currency)}, nil
	case order.CaptureFailed:
		return &ordersv1.PaymentDue{OrderId: orderID, SubjectId: e.SubjectID, Amount: protomoney.Minor(e.Amount, e.Currency), Code: e.Code}, nil
	}
	return nil, fmt.Errorf("publish order %s: %T says nothing in public", orderID, e)
}

func items(pieces []order.Item) []*ordersv1.Item {
	out := make([]*ordersv1.Item, len(pieces))
	for i, p := range pieces {
		out[i] = &ordersv1.Item{Sku: p.SKU, Quantity: p.Quantity, Line: p.Line}
	}
	return out
}

func returnedItems(lines []order.ReturnedLine) []*ordersv1.ReturnedItem {
	out := make([]*ordersv1.ReturnedItem, len(lines))
	for i, l := range lines {
		out[i] = &ordersv1.ReturnedItem{Line: l.Line, Sku: l.SKU, Quantity: l.Quantity, WriteOff: l.WriteOff}
	}
	return out
}

// Consumers are the names under which orders hears other rooms.
var Consumers = []string{"orders.payments", "orders.inventory", "orders.shipping"}

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
	switch source {
	case "inventory":
		return map[string]bus.Handler{"souk.inventory.v1.HoldOverdue": overdue(a)}
	case "shipping":
		return map[string]bus.Handler{"souk.shipping.v1.ShipmentDispatched": fact(dispatched)}
	}
	return map[string]bus.Handler{
		"souk.payments.v1.PaymentAuthorized": fact(authorized),
		"souk.payments.v1.PaymentDeclined":   fact(declined),
		"souk.payments.v1.PaymentUnknown":    fact(unknown),
		"souk.payments.v1.PaymentVoided":     fact(voided),
		"souk.payments.v1.PaymentFailed":     fact(failed),
		"souk.payments.v1.PaymentCaptured":   fact(captured),
		"souk.payments.v1.CaptureFailed":     fact(captureFailed),
		"souk.payments.v1.PaymentRefunded":   fact(refundedFact),
		"souk.payments.v1.RefundFailed":      fact(refundFailed),
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
	return m.OrderId, order.Authorized{IntentID: m.IntentId, Attempt: int(m.Attempt), MultiCapture: m.MultiCapture}, err
}

func captured(data []byte) (string, order.Event, error) {
	var m paymentsv1.PaymentCaptured
	if err := proto.Unmarshal(data, &m); err != nil {
		return "", nil, err
	}
	amount, err := protomoney.To(m.Amount)
	return m.OrderId, order.Captured{ID: m.CaptureId, Amount: amount.Minor}, err
}

func captureFailed(data []byte) (string, order.Event, error) {
	var m paymentsv1.CaptureFailed
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.CaptureFailed{ID: m.CaptureId, Code: m.Code}, err
}

func refundedFact(data []byte) (string, order.Event, error) {
	var m paymentsv1.PaymentRefunded
	if err := proto.Unmarshal(data, &m); err != nil {
		return "", nil, err
	}
	amount, err := protomoney.To(m.Amount)
	return m.OrderId, order.Refunded{ID: m.RefundId, Amount: amount.Minor}, err
}

func refundFailed(data []byte) (string, order.Event, error) {
	var m paymentsv1.RefundFailed
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.RefundFailed{ID: m.RefundId, Code: m.Code}, err
}

func dispatched(data []byte) (string, order.Event, error) {
	var m shippingv1.ShipmentDispatched
	err := proto.Unmarshal(data, &m)
	return m.OrderId, order.Dispatched{ParcelID: m.ParcelId, Pieces: pieces(m.Lines), At: timeOf(m.DispatchedAt)}, err
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
