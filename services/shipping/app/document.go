package app

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// document is a shipment's lines and parcels as its row keeps them. Lines are text within the JSON, with a comma between
// two of them: an eighth of the work of a JSON object a line, and of its size.
//
//	{"lines":"1 6 4 85123A,2 2 0 71053","parcels":[{"id":"prc_…","lines":"1 4","dispatched_at":1291191960000000}]}
type document struct {
	Lines   string           `json:"lines"` // "number quantity dispatched SKU"
	Parcels []parcelDocument `json:"parcels,omitempty"`
}

// parcelDocument leaves the SKUs to the lines.
type parcelDocument struct {
	ID             string          `json:"id"`
	Lines          string          `json:"lines"` // "number quantity"
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
	d := document{Lines: writeLines(s.Lines)}
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
	d := parcelDocument{
		ID: p.ID, Lines: writePieces(p.Pieces), Carrier: p.Carrier, TrackingNumber: p.TrackingNumber, DispatchedAt: p.DispatchedAt.UnixMicro(),
	}
	for _, e := range p.Tracking {
		d.Tracking = append(d.Tracking, entryDocument{string(e.Status), e.At.UnixMicro(), e.Note})
	}
	return d
}

// decode reads a document into a shipment.
func decode(doc []byte, s *shipment.Shipment) error {
	var d document
	err := json.Unmarshal(doc, &d)
	if err == nil {
		s.Lines, err = readLines(d.Lines)
	}
	if err != nil {
		return fmt.Errorf("decode shipment %s: %w", s.Order, err)
	}
	s.Parcels = make([]shipment.Parcel, len(d.Parcels))
	for i := range d.Parcels {
		if err := d.Parcels[i].read(s, &s.Parcels[i]); err != nil {
			return fmt.Errorf("decode parcel %s of %s: %w", d.Parcels[i].ID, s.Order, err)
		}
	}
	return nil
}

func (d *parcelDocument) read(s *shipment.Shipment, p *shipment.Parcel) (err error) {
	*p = shipment.Parcel{
		ID: d.ID, Carrier: d.Carrier, TrackingNumber: d.TrackingNumber, DispatchedAt: time.UnixMicro(d.DispatchedAt).UTC(),
	}
	for _, e := range d.Tracking {
		p.Tracking = append(p.Tracking, shipment.Entry{Status: shipment.Status(e.Status), At: time.UnixMicro(e.At).UTC(), Note: e.Note})
	}
	p.Pieces, err = readPieces(d.Lines, s)
	return err
}

func writeLines(lines []shipment.Line) string {
	text := make([]byte, 0, 24*len(lines))
	for i, l := range lines {
		text = appendNumbers(text, i, l.Number, l.Quantity, l.Dispatched)
		text = append(append(text, ' '), l.SKU...)
	}
	return string(text)
}

func writePieces(pieces []shipment.Piece) string {
	text := make([]byte, 0, 8*len(pieces))
	for i, p := range pieces {
		text = appendNumbers(text, i, p.Line, p.Quantity)
	}
	return string(text)
}

// appendNumbers begins the i-th line with numbers.
func appendNumbers(text []byte, i int, numbers ...int32) []byte {
	if i > 0 {
		text = append(text, ',')
	}
	for k, n := range numbers {
		if k > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, int64(n), 10)
	}
	return text
}

func readLines(text string) ([]shipment.Line, error) {
	if text == "" {
		return nil, nil
	}
	lines := make([]shipment.Line, 0, 1+strings.Count(text, ","))
	for one := range strings.SplitSeq(text, ",") {
		var l shipment.Line
		sku, err := readNumbers(one, &l.Number, &l.Quantity, &l.Dispatched)
		if err != nil {
			return nil, err
		}
		l.SKU = sku
		lines = append(lines, l)
	}
	return lines, nil
}

func readPieces(text string, of *shipment.Shipment) ([]shipment.Piece, error) {
	if text == "" {
		return nil, nil
	}
	pieces := make([]shipment.Piece, 0, 1+strings.Count(text, ","))
	for one := range strings.SplitSeq(text, ",") {
		var p shipment.Piece
		if _, err := readNumbers(one, &p.Line, &p.Quantity); err != nil {
			return nil, err
		}
		p.SKU = of.SKU(p.Line)
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// readNumbers reads the numbers that a line begins with; what follows them is rest.
func readNumbers(line string, into ...*int32) (rest string, err error) {
	rest = line
	for _, n := range into {
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		value, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return "", fmt.Errorf("line %q: %w", line, err)
		}
		*n = int32(value)
	}
	return rest, nil
}
