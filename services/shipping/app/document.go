package app

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// document is a shipment's lines and parcels as its row keeps them: a list a column, which is half the size of a list of
// lines and a quarter of the work.
type document struct {
	Line       []int32          `json:"line"`
	SKU        []string         `json:"sku"`
	Quantity   []int32          `json:"quantity"`
	Dispatched []int32          `json:"dispatched"`
	Parcels    []parcelDocument `json:"parcels,omitempty"`
}

// parcelDocument leaves the SKUs to the lines.
type parcelDocument struct {
	ID             string          `json:"id"`
	Line           []int32         `json:"line"`
	Quantity       []int32         `json:"quantity"`
	Carrier        string          `json:"carrier,omitempty"`
	TrackingNumber string          `json:"tracking_number,omitempty"`
	DispatchedAt   int64           `json:"dispatched_at"` // microseconds
	Tracking       []entryDocument `json:"tracking,omitempty"`
}

type entryDocument struct {
	Status string `json:"status"`
	At     int64  `json:"at"` // microseconds
	Note   string `json:"note,omitempty"`
}

func encode(s *shipment.Shipment) (string, error) {
	n := len(s.Lines)
	all := make([]int32, 3*n)
	d := document{Line: all[:n], Quantity: all[n : 2*n], Dispatched: all[2*n:], SKU: make([]string, n)}
	for i, l := range s.Lines {
		d.Line[i], d.SKU[i], d.Quantity[i], d.Dispatched[i] = l.Number, l.SKU, l.Quantity, l.Dispatched
	}
	for i := range s.Parcels {
		d.Parcels = append(d.Parcels, documentOf(&s.Parcels[i]))
	}
	doc, err := json.Marshal(&d)
	if err != nil {
		return "", fmt.Errorf("encode shipment %s: %w", s.Order, err)
	}
	return string(doc), nil
}

func documentOf(p *shipment.Parcel) parcelDocument {
	n := len(p.Pieces)
	both := make([]int32, 2*n)
	d := parcelDocument{
		ID: p.ID, Carrier: p.Carrier, TrackingNumber: p.TrackingNumber, DispatchedAt: p.DispatchedAt.UnixMicro(),
		Line: both[:n], Quantity: both[n:],
	}
	for i, piece := range p.Pieces {
		d.Line[i], d.Quantity[i] = piece.Line, piece.Quantity
	}
	for _, e := range p.Tracking {
		d.Tracking = append(d.Tracking, entryDocument{string(e.Status), e.At.UnixMicro(), e.Note})
	}
	return d
}

// decode reads a document into a shipment.
func decode(doc []byte, s *shipment.Shipment) error {
	var d document
	if err := json.Unmarshal(doc, &d); err != nil {
		return fmt.Errorf("decode shipment %s: %w", s.Order, err)
	}
	if n := len(d.Line); len(d.SKU) != n || len(d.Quantity) != n || len(d.Dispatched) != n {
		return fmt.Errorf("decode shipment %s: its columns have %d, %d, %d and %d lines", s.Order, n, len(d.SKU), len(d.Quantity), len(d.Dispatched))
	}
	s.Lines = make([]shipment.Line, len(d.Line))
	for i := range s.Lines {
		s.Lines[i] = shipment.Line{Number: d.Line[i], SKU: d.SKU[i], Quantity: d.Quantity[i], Dispatched: d.Dispatched[i]}
	}
	s.Parcels = make([]shipment.Parcel, len(d.Parcels))
	for i := range d.Parcels {
		if err := d.Parcels[i].read(s, &s.Parcels[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *parcelDocument) read(s *shipment.Shipment, p *shipment.Parcel) error {
	if len(d.Line) != len(d.Quantity) {
		return fmt.Errorf("decode parcel %s of %s: its columns have %d and %d lines", d.ID, s.Order, len(d.Line), len(d.Quantity))
	}
	*p = shipment.Parcel{
		ID: d.ID, Carrier: d.Carrier, TrackingNumber: d.TrackingNumber, DispatchedAt: time.UnixMicro(d.DispatchedAt).UTC(),
		Pieces: make([]shipment.Piece, len(d.Line)),
	}
	for i := range d.Line {
		p.Pieces[i] = shipment.Piece{Line: d.Line[i], SKU: s.SKU(d.Line[i]), Quantity: d.Quantity[i]}
	}
	for _, e := range d.Tracking {
		p.Tracking = append(p.Tracking, shipment.Entry{Status: shipment.Status(e.Status), At: time.UnixMicro(e.At).UTC(), Note: e.Note})
	}
	return nil
}
