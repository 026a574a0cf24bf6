package view_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/services/orders/app"
	"github.com/seed-21071466/souk/services/orders/order"
)

// names are the stored names by the events' types.
var names = func() map[reflect.Type]string {
	all := map[reflect.Type]string{}
	for _, name := range []string{
		"OrderPlaced", "StockHeld", "StockRefused", "CreditHeld", "CreditRefused", "PaymentAuthorized", "PaymentDeclined", "PaymentUnknown",
		"OrderConfirmed", "OrderRejected", "UndoQueued", "Undone", "UndoSkipped", "CancelRequested", "OrderCanceled", "CancelRefused",
		"ParcelDispatched", "CaptureRequested", "PaymentCaptured", "CaptureFailed", "ReturnOpened", "ReturnReceived", "ReturnClosed",
		"RefundRequested", "PaymentRefunded", "RefundFailed",
	} {
		e, err := app.Decode(name, 1, []byte("{}"))
		if err != nil {
			panic(err)
		}
		all[reflect.TypeOf(e)] = name
	}
	return all
}()

// record is an event as the log keeps it.
func record(t testing.TB, e order.Event) eventlog.Event {
	t.Helper()
	name := names[reflect.TypeOf(e)]
	if name == "" {
		t.Fatalf("%T has no name here", e)
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.Event{Type: name, Schema: 1, Data: data, Meta: eventlog.Meta{Shop: "shop", Time: noon}}
}
