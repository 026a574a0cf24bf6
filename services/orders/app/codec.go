package app

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/seed-21071466/souk/services/orders/order"
)

// schemaVersion is the version of the private events that this release writes.
const schemaVersion = 1

// PlacedName is the stored name of the event that begins an order.
const PlacedName = "OrderPlaced"

// kinds are the events by their stored names, which never change.
var kinds = map[string]func(data []byte) (order.Event, error){
	PlacedName:          into[order.Placed],
	"StockHeld":         into[order.StockHeld],
	"StockRefused":      into[order.StockRefused],
	"CreditHeld":        into[order.CreditHeld],
	"CreditRefused":     into[order.CreditRefused],
	"PaymentAuthorized": into[order.Authorized],
	"PaymentDeclined":   into[order.Declined],
	"PaymentUnknown":    into[order.Unknown],
	"OrderConfirmed":    into[order.ConfirmedEvent],
	"OrderRejected":     into[order.RejectedEvent],
	"UndoQueued":        into[order.UndoQueued],
	"Undone":            into[order.Undone],
	"UndoSkipped":       into[order.UndoSkipped],
	"CancelRequested":   into[order.CancelRequested],
	"OrderCanceled":     into[order.CanceledEvent],
	"CancelRefused":     into[order.CancelRefused],
	"ParcelDispatched":  into[order.Dispatched],
	"CaptureRequested":  into[order.CaptureRequested],
	"PaymentCaptured":   into[order.Captured],
	"CaptureFailed":     into[order.CaptureFailed],
	"CaptureDropped":    into[order.CaptureDropped],
	"ReturnOpened":      into[order.ReturnOpened],
	"ReturnReceived":    into[order.ReturnReceived],
	"ReturnClosed":      into[order.ReturnClosed],
	"RefundRequested":   into[order.RefundRequested],
	"PaymentRefunded":   into[order.Refunded],
	"RefundFailed":      into[order.RefundFailed],
	"RefundDropped":     into[order.RefundDropped],
}

// names are the stored names by the events' types.
var names = func() map[reflect.Type]string {
	all := make(map[reflect.Type]string, len(kinds))
	for name, read := range kinds {
		e, err := read([]byte("{}"))
		if err != nil {
			panic("orders: an event cannot be empty: " + err.Error()) // a build fault
		}
		all[reflect.TypeOf(e)] = name
	}
	return all
}()

// encode gives an event's stored name and body.
func encode(e order.Event) (name string, data []byte, err error) {
	name = names[reflect.TypeOf(e)]
	if name == "" {
		return "", nil, fmt.Errorf("encode order event: %T has no stored name", e)
	}
	data, err = json.Marshal(e)
	return name, data, err
}

// Decode reads a stored event; one that this release does not know is refused.
func Decode(name string, schema int, data []byte) (order.Event, error) {
	if schema > schemaVersion {
		return nil, fmt.Errorf("decode order event %s: schema %d is newer than %d of this release", name, schema, schemaVersion)
	}
	read, known := kinds[name]
	if !known {
		return nil, fmt.Errorf("decode order event: %q is not known to this release", name)
	}
	return read(data)
}

func into[E order.Event](data []byte) (order.Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decode order event %T: %w", e, err)
	}
	return e, nil
}
