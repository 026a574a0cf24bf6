package app

import (
	"encoding/json"
	"fmt"

	"github.com/seed-21071466/souk/services/orders/order"
)

// schemaVersion is the version of the private events that this release writes.
const schemaVersion = 1

// placedName is the stored name of the event that begins an order.
const placedName = "OrderPlaced"

// encode gives an event's stored name and body.
func encode(e order.Event) (name string, data []byte, err error) {
	name = nameOf(e)
	if name == "" {
		return "", nil, fmt.Errorf("encode order event: %T has no stored name", e)
	}
	data, err = json.Marshal(e)
	return name, data, err
}

func nameOf(e order.Event) string {
	switch e.(type) {
	case order.Placed:
		return placedName
	case order.StockHeld:
		return "StockHeld"
	case order.StockRefused:
		return "StockRefused"
	case order.Authorized:
		return "PaymentAuthorized"
	case order.Declined:
		return "PaymentDeclined"
	case order.Unknown:
		return "PaymentUnknown"
	case order.ConfirmedEvent:
		return "OrderConfirmed"
	case order.RejectedEvent:
		return "OrderRejected"
	case order.UndoQueued:
		return "UndoQueued"
	case order.Undone:
		return "Undone"
	case order.UndoSkipped:
		return "UndoSkipped"
	}
	return ""
}

// Decode reads a stored event; one that this release does not know is refused.
func Decode(name string, schema int, data []byte) (order.Event, error) {
	if schema > schemaVersion {
		return nil, fmt.Errorf("decode order event %s: schema %d is newer than %d of this release", name, schema, schemaVersion)
	}
	switch name {
	case placedName:
		return into[order.Placed](data)
	case "StockHeld":
		return into[order.StockHeld](data)
	case "StockRefused":
		return into[order.StockRefused](data)
	case "PaymentAuthorized":
		return into[order.Authorized](data)
	case "PaymentDeclined":
		return into[order.Declined](data)
	case "PaymentUnknown":
		return into[order.Unknown](data)
	case "OrderConfirmed":
		return into[order.ConfirmedEvent](data)
	case "OrderRejected":
		return into[order.RejectedEvent](data)
	case "UndoQueued":
		return into[order.UndoQueued](data)
	case "Undone":
		return into[order.Undone](data)
	case "UndoSkipped":
		return into[order.UndoSkipped](data)
	}
	return nil, fmt.Errorf("decode order event: %q is not known to this release", name)
}

func into[E order.Event](data []byte) (order.Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decode order event %T: %w", e, err)
	}
	return e, nil
}
