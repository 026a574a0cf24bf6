package shipment

import (
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/seed-21071466/souk/kit/problem"
)

// The bounds of a parcel.
const (
	LinesMax      = 2_000     // lines that one dispatch names
	CarrierMax    = 100       // characters of a carrier or of its number
	NoteMax       = 200       // characters of a tracking's note
	ParcelsMax    = 100       // parcels of one shipment; the last one takes all that is left
	TrackingMax   = 100       // tracking entries of one parcel
	TrackAheadMax = time.Hour // how far a carrier's clock may be ahead of ours
)

// Parcel is one dispatch.
type Parcel struct {
	ID             string
	Pieces         []Piece
	Carrier        string
	TrackingNumber string
	DispatchedAt   time.Time
	Tracking       []Entry // oldest first
}

// Status says where a parcel is.
type Status string

// The statuses of a parcel. A carrier's word may come late, so the newest by its own time holds, whatever came before.
const (
	Sent             Status = "dispatched" // nothing was told since
	InTransit        Status = "in_transit"
	Delivered        Status = "delivered"
	Failed           Status = "failed"
	ReturnedToSender Status = "returned_to_sender"
)

// Entry is what a carrier told of a parcel.
type Entry struct {
	Status Status
	At     time.Time
	Note   string
}

// Status is the newest of the parcel's tracking.
func (p *Parcel) Status() Status {
	if len(p.Tracking) == 0 {
		return Sent
	}
	return p.Tracking[len(p.Tracking)-1].Status
}

// Check refuses a parcel that nobody could hand over, whatever the shipment.
func (p *Parcel) Check(now time.Time) error {
	switch {
	case len(p.Pieces) > LinesMax:
		return problem.Field("lines", "too_many", fmt.Sprintf("at most %d lines", LinesMax))
	case p.DispatchedAt.After(now):
		return problem.Field("dispatched_at", "in_future", "nothing has left later than now")
	}
	if err := checkText("carrier", p.Carrier, CarrierMax); err != nil {
		return err
	}
	if err := checkText("tracking_number", p.TrackingNumber, CarrierMax); err != nil {
		return err
	}
	return checkPieces(p.Pieces)
}

func checkPieces(list []Piece) error {
	seen := make(map[int32]bool, len(list))
	for i, piece := range list {
		at := fmt.Sprintf("lines[%d].", i)
		switch {
		case piece.Line < 1:
			return problem.Field(at+"line", "out_of_range", "the line's number in its order, from 1")
		case piece.Quantity < 1:
			return problem.Field(at+"quantity", "out_of_range", "1 piece or more")
		case seen[piece.Line]:
			return problem.Field(at+"line", "repeated", "name each line once")
		}
		seen[piece.Line] = true
	}
	return nil
}

func checkText(field, text string, most int) error {
	if utf8.RuneCountInString(text) > most {
		return problem.Field(field, "too_long", fmt.Sprintf("at most %d characters", most))
	}
	return nil
}

// Check refuses what no carrier tells.
func (e *Entry) Check(now time.Time) error {
	switch e.Status {
	case InTransit, Delivered, Failed, ReturnedToSender:
	default:
		return problem.Field("status", "invalid", `must be "in_transit", "delivered", "failed" or "returned_to_sender"`)
	}
	if e.At.After(now.Add(TrackAheadMax)) {
		return problem.Field("at", "in_future", "must not be later than now")
	}
	return checkText("note", e.Note, NoteMax)
}

// Track adds to what is known of a parcel, and tells whether it is news: the same status at the same time is none, and
// neither is the newest status again when no time is told. An entry without a time is of now.
func (s *Shipment) Track(parcel string, e Entry, now time.Time) (told Entry, news bool, err error) {
	at := slices.IndexFunc(s.Parcels, func(p Parcel) bool { return p.ID == parcel })
	if at < 0 {
		return e, false, problem.New(problem.NotFound, "parcel_not_found", "The shipment has no such parcel.").With("order", s.Order)
	}
	p := &s.Parcels[at]
	if e.At.IsZero() {
		if p.Status() == e.Status {
			return e, false, nil
		}
		e.At = now
	}
	same := func(other Entry) bool { return other.Status == e.Status && other.At.Equal(e.At) }
	if slices.ContainsFunc(p.Tracking, same) {
		return e, false, nil
	}
	if len(p.Tracking) >= TrackingMax {
		return e, false, problem.Newf(problem.Conflict, "too_many_entries", "A parcel keeps at most %d entries.", TrackingMax).With("order", s.Order)
	}
	p.Tracking = append(p.Tracking, e)
	slices.SortStableFunc(p.Tracking, func(a, b Entry) int { return a.At.Compare(b.At) })
	return e, true, nil
}
