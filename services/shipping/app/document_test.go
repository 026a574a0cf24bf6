package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/services/shipping/shipment"
)

func TestADocumentIsReadAsItWasWritten(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 1000, time.UTC)
	want := shipment.Shipment{
		Order: "ord_1",
		Lines: []shipment.Line{{Number: 1, SKU: "85123A", Quantity: 6, Dispatched: 4}, {Number: 705, SKU: "gift_0001.20-x", Quantity: 1 << 30}},
		Parcels: []shipment.Parcel{
			{
				ID: "prc_1", Pieces: []shipment.Piece{{Line: 1, SKU: "85123A", Quantity: 4}}, Carrier: `R "M", 1`, TrackingNumber: "1,2 3", DispatchedAt: noon,
				Tracking: []shipment.Entry{{Status: shipment.Failed, At: noon, Note: "nobody,\nthere"}},
			},
			{ID: "prc_2", DispatchedAt: noon, Pieces: []shipment.Piece{{Line: 1, SKU: "85123A", Quantity: 1}, {Line: 705, SKU: "gift_0001.20-x", Quantity: 1}}},
		},
	}
	doc, err := encode(&want)
	if err != nil {
		t.Fatal(err)
	}
	got := shipment.Shipment{Order: "ord_1"}
	if err := decode([]byte(doc), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff, doc)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"lines":"1 6 4 A","parcels":[{"id":"p","lines":"1 4","dispatched_at":1}]}`)
	f.Add(`{"lines":"1 6"}`)
	f.Add(`{"lines":"1 6 4 A,"}`)
	f.Add(`{"lines":"99999999999 6 4 A"}`)
	f.Fuzz(func(t *testing.T, doc string) {
		var s shipment.Shipment
		if err := decode([]byte(doc), &s); err != nil {
			return
		}
		s.Faults() // whatever is read can be checked
		again, err := encode(&s)
		if err != nil {
			t.Fatal(err)
		}
		var back shipment.Shipment
		if err := decode([]byte(again), &back); err != nil {
			t.Fatalf("%q was written as %q: %v", doc, again, err)
		}
		if diff := cmp.Diff(s.Lines, back.Lines); diff != "" {
			t.Error(diff)
		}
	})
}
