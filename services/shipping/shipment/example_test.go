package shipment_test

import (
	"fmt"
	"time"

	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// An order of six is canceled when four have left: the other two never will.
func Example() {
	var s shipment.Shipment
	if _, err := s.Open("sub_1", []shipment.Line{{Number: 1, SKU: "85123A", Quantity: 6}}, time.Time{}); err != nil {
		panic(err)
	}
	if _, err := s.Dispatch(shipment.Parcel{ID: "prc_1", Pieces: []shipment.Piece{{Line: 1, Quantity: 4}}}); err != nil {
		panic(err)
	}
	fmt.Println(s.State)
	fmt.Println(s.Stop())
	_, err := s.Dispatch(shipment.Parcel{ID: "prc_2"})
	fmt.Println(err)
	// Output:
	// partly_dispatched
	// stopped [{1 85123A 4}]
	// shipment_stopped: The order was canceled before: nothing more of it may leave.
}
