package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	shippingv1 "github.com/seed-21071466/souk/gen/souk/shipping/v1"
	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/money/protomoney"
	"github.com/seed-21071466/souk/services/notifications/app"
	"github.com/seed-21071466/souk/services/notifications/notice"
)

// The names of the room's consumers, and the rooms that they follow.
const (
	FollowsOrders   = "notifications.orders"
	FollowsShipping = "notifications.shipping"

	orders   = "orders"
	shipping = "shipping"
)

// gather is how long events come together. Nobody waits for a mail so closely.
const gather = 200 * time.Millisecond

// Follow are the room's consumers. They begin with what is said from now on: a shop that gets this room later does not
// want years of old orders mailed.
func Follow(n *app.Notifications) []bus.Consumer {
	consumer := func(name, source string, heard map[string]bus.BatchHandler) bus.Consumer {
		return bus.Consumer{Name: name, Source: source, From: bus.FromNow, Store: n.Store, Gather: gather, HandleAll: heard}
	}
	return []bus.Consumer{
		consumer(FollowsOrders, orders, map[string]bus.BatchHandler{
			"souk.orders.v1.OrderConfirmed": hear(n, confirmed),
			"souk.orders.v1.OrderRejected":  hear(n, rejected),
			"souk.orders.v1.OrderCanceled":  hear(n, canceled),
			"souk.orders.v1.ReturnReceived": hear(n, returned),
			"souk.orders.v1.OrderRefunded":  hear(n, refunded),
			"souk.orders.v1.PaymentDue":     hear(n, paymentDue),
		}),
		consumer(FollowsShipping, shipping, map[string]bus.BatchHandler{
			"souk.shipping.v1.ShipmentDispatched": hear(n, dispatched),
		}),
	}
}

// message is a pointer to an event's message, which can be read from its bytes.
type message[T any] interface {
	*T
	proto.Message
}

// hear makes news of events: tell writes what one message says into news that names its event already.
func hear[T any, M message[T]](n *app.Notifications, tell func(M, *notice.News) error) bus.BatchHandler {
	return func(tx sqlstore.Tx, events []bus.Event) error {
		news := make([]notice.News, len(events))
		for i, ev := range events {
			said := M(new(T))
			if err := proto.Unmarshal(ev.Data, said); err != nil {
				return fmt.Errorf("read %s: %w", ev.ID, err)
			}
			news[i] = notice.News{Source: ev.ID, At: ev.Time}
			if err := tell(said, &news[i]); err != nil {
				return fmt.Errorf("read %s: %w", ev.ID, err)
			}
		}
		return n.Hear(tx, news)
	}
}

func confirmed(m *ordersv1.OrderConfirmed, n *notice.News) (err error) {
	n.Event, n.Order, n.Subject = notice.Confirmed, m.OrderId, m.SubjectId
	n.Facts.Lines, n.Facts.Pieces = count(m.Items)
	n.Facts.Total, err = sum(m.Total)
	return err
}

func rejected(m *ordersv1.OrderRejected, n *notice.News) error {
	n.Event, n.Order = notice.Rejected, m.OrderId
	n.Facts.Code = m.Code
	return nil
}

func canceled(m *ordersv1.OrderCanceled, n *notice.News) error {
	n.Event, n.Order, n.Subject = notice.Canceled, m.OrderId, m.SubjectId
	n.Facts.Lines, n.Facts.Pieces = count(m.Items)
	n.Facts.Whole = &m.Whole
	return nil
}

func returned(m *ordersv1.ReturnReceived, n *notice.News) error {
	n.Event, n.Order, n.Subject = notice.Returned, m.OrderId, m.SubjectId
	n.Facts.Return = m.ReturnId
	n.Facts.Lines, n.Facts.Pieces = count(m.Items)
	return nil
}

func refunded(m *ordersv1.OrderRefunded, n *notice.News) (err error) {
	n.Event, n.Order, n.Subject = notice.Refunded, m.OrderId, m.SubjectId
	n.Facts.Refund = m.RefundId
	n.Facts.Amount, err = sum(m.Amount)
	return err
}

func paymentDue(m *ordersv1.PaymentDue, n *notice.News) (err error) {
	n.Event, n.Order, n.Subject = notice.PaymentDue, m.OrderId, m.SubjectId
	n.Facts.Code = m.Code
	n.Facts.Amount, err = sum(m.Amount)
	return err
}

func dispatched(m *shippingv1.ShipmentDispatched, n *notice.News) error {
	n.Event, n.Order, n.Subject = notice.Dispatched, m.OrderId, m.SubjectId
	n.Facts.Parcel, n.Facts.Carrier, n.Facts.Tracking, n.Facts.Last = m.ParcelId, m.Carrier, m.TrackingNumber, &m.Last
	n.Facts.Lines, n.Facts.Pieces = count(m.Lines)
	return nil
}

// count counts lines and their pieces.
func count[L interface{ GetQuantity() int32 }](lines []L) (n, pieces int) {
	for _, line := range lines {
		pieces += int(line.GetQuantity())
	}
	return len(lines), pieces
}

func sum(m *typev1.Money) (*notice.Sum, error) {
	amount, err := protomoney.To(m)
	if err != nil {
		return nil, err
	}
	return notice.SumOf(amount), nil
}
