package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/seed-21071466/souk/gen/souk/inventory/v1"
	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/app"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// FollowsOrders is the name of the room's consumer.
const FollowsOrders = "inventory.orders"

// orders is the room that it follows.
const orders = "orders"

// The types of events, which are their messages' full names.
const (
	stockChanged   = "souk.inventory.v1.StockChanged"
	holdOverdue    = "souk.inventory.v1.HoldOverdue"
	orderConfirmed = "souk.orders.v1.OrderConfirmed"
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

// Follow is the room's consumer of orders.
func Follow(inv *app.Inventory) bus.Consumer {
	return bus.Consumer{
		Name: FollowsOrders, Source: orders, From: bus.FromStart, Store: inv.Store,
		Gather: gather,
		HandleAll: map[string]bus.BatchHandler{
			orderConfirmed: func(tx sqlstore.Tx, events []bus.Event) error { return confirm(inv, tx, events) },
		},
	}
}

// gather is how long confirmations come together. Nobody waits for them: until then their pieces are held.
const gather = 50 * time.Millisecond

// confirm turns what confirmed orders hold into allocations.
func confirm(inv *app.Inventory, tx sqlstore.Tx, events []bus.Event) error {
	all := make([]app.Confirmation, len(events))
	for i, ev := range events {
		confirmed := new(ordersv1.OrderConfirmed)
		if err := proto.Unmarshal(ev.Data, confirmed); err != nil {
			return fmt.Errorf("read %s: %w", ev.ID, err)
		}
		all[i] = app.Confirmation{Order: confirmed.OrderId, Lines: lines(confirmed), Meta: eventlog.Meta{
			Actor: "service:inventory", OnBehalfOf: ev.Meta.OnBehalfOf, Correlation: ev.Meta.Correlation,
			Causation: ev.ID, Trace: ev.Meta.Trace,
		}}
	}
	return inv.Confirm(tx, all)
}

func lines(confirmed *ordersv1.OrderConfirmed) []stock.Line {
	lines := make([]stock.Line, 0, len(confirmed.Items))
	for _, item := range confirmed.Items {
		if item.GetQuantity() > 0 {
			lines = append(lines, stock.Line{SKU: item.Sku, Quantity: int(item.Quantity)})
		}
	}
	return lines
}
