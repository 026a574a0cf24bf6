package wire

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// The names of the room's consumers.
const (
	FollowsOrders   = "inventory.orders"
	FollowsShipping = "inventory.shipping"
)

// The rooms that it follows.
const (
	orders   = "orders"
	shipping = "shipping"
)

// The types of events, which are their messages' full names.
const (
	stockChanged       = "souk.inventory.v1.StockChanged"
	holdOverdue        = "souk.inventory.v1.HoldOverdue"
	orderConfirmed     = "souk.orders.v1.OrderConfirmed"
	returnReceived     = "souk.orders.v1.ReturnReceived"
	shipmentDispatched = "souk.shipping.v1.ShipmentDispatched"
)

// eventSchema is the version of the messages' shape.
const eventSchema = 1

// Words says in the contract's words what happened. The log keeps the public events as they are.
type Words struct{}

// StockChanged carries new figures.
func (Words) StockChanged(cause app.Cause, order string, figures []stock.Figure) eventlog.Event {
	items := make([]*inventoryv1.StockFigure, len(figures))
	for i, f := range figures {
		items[i] = &inventoryv1.StockFigure{
			Sku: f.SKU, Available: clamp(f.Available), Backorder: f.Policy.Backorder, Revision: f.Revision,
		}
	}
	return event(stockChanged, &inventoryv1.StockChanged{Cause: string(cause), OrderId: order, Items: items})
}

// HoldOverdue says that a hold has passed its deadline.
func (Words) HoldOverdue(order string, deadline time.Time) eventlog.Event {
	return event(holdOverdue, &inventoryv1.HoldOverdue{OrderId: order, Deadline: timestamppb.New(deadline)})
}

func event(typ string, m proto.Message) eventlog.Event {
	data, err := proto.Marshal(m)
	if err != nil {
		panic("encode " + typ + ": " + err.Error()) // only for text that is not UTF-8, which no id or SKU is
	}
	return eventlog.Event{Type: typ, Schema: eventSchema, Data: data}
}
