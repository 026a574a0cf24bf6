package view_test

import (
	"encoding/json"
	"testing"

	"github.com/seed-21071466/souk/services/orders/order"
)

// record is an event as the log keeps it.
func record(t *testing.T, e order.Event) (name string, data []byte) {
	t.Helper()
	switch e.(type) {
	case order.Placed:
		name = "OrderPlaced"
	case order.StockHeld:
		name = "StockHeld"
	case order.StockRefused:
		name = "StockRefused"
	case order.Authorized:
		name = "PaymentAuthorized"
	case order.ConfirmedEvent:
		name = "OrderConfirmed"
	case order.RejectedEvent:
		name = "OrderRejected"
	default:
		t.Fatalf("%T has no name here", e)
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return name, data
}
