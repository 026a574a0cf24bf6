// Package shipment is the heart of sending: what of an order has left, and whether the rest still may. It is pure.
//
//	        Dispatch a part              Dispatch the rest
//	open ─────────────────▶ partly_dispatched ─────────▶ dispatched
//	 │  └───────────── Dispatch everything ──────────────────▲
//	 │ Stop                  │ Stop                           Stop: already_dispatched
//	 ▼                       ▼
//	stopped ◀────────────────┘
//
// A Stop that comes before its shipment leaves a tombstone, stopped and without lines, which stays stopped when it
// opens. Nothing leads out of dispatched and stopped, so no piece is ever both dispatched and stopped.
package shipment

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
)

// State says how far a shipment has come.
type State string

// The states of a shipment.
const (
	Open             State = "open"
	PartlyDispatched State = "partly_dispatched"
	Dispatched       State = "dispatched"
	Stopped          State = "stopped" // what left before is in its parcels
)

// Known tells whether there is such a state.
func (s State) Known() bool {
	switch s {
	case Open, PartlyDispatched, Dispatched, Stopped:
		return true
	}
	return false
}

// Outcome is what a Stop came to.
type Outcome string

// The outcomes of a Stop.
const (
	KeptBack          Outcome = "stopped"            // something never leaves
	AlreadyDispatched Outcome = "already_dispatched" // everything has left
)

// Shipment is what an order is to be sent. Its lines ascend by number.
type Shipment struct {
	Order    string // also the shipment's id
	Subject  string // whose order it is; "" until it opens
	State    State
	Lines    []Line
	Parcels  []Parcel  // oldest first
	OpenedAt time.Time // zero until it opens
}

// Line is one line of an order and how much of it has left.
type Line struct {
	Number     int32 // in its order, from 1
	SKU        string
	Quantity   int32
	Dispatched int32
}

// Left is what of the line is still here.
func (l Line) Left() int32 { return l.Quantity - l.Dispatched }

// Piece is pieces of one line.
type Piece struct {
	Line     int32
	SKU      string
	Quantity int32
}

// Tombstone is the shipment of an order that was stopped before it opened.
func Tombstone(order string) Shipment { return Shipment{Order: order, State: Stopped} }

// Opened tells whether the order's confirmation has arrived.
func (s *Shipment) Opened() bool { return len(s.Lines) > 0 }

// Open takes the lines of a confirmed order; a tombstone opens stopped. It tells whether that is news. Lines that no
// order can have are an error.
func (s *Shipment) Open(subject string, lines []Line, at time.Time) (news bool, err error) {
	if s.Opened() {
		return false, nil
	}
	lines = slices.Clone(lines)
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Compare(a.Number, b.Number) })
	if err := checkLines(lines); err != nil {
		return false, fmt.Errorf("open shipment of %s: %w", s.Order, err)
	}
	s.Subject, s.Lines, s.OpenedAt = subject, lines, at
	if s.State != Stopped {
		s.State = Open
	}
	return true, nil
}

// checkLines refuses what is no order: no lines, or one without a number of its own, a SKU or pieces.
func checkLines(sorted []Line) error {
	if len(sorted) == 0 {
		return errors.New("it has no lines")
	}
	last := int32(0)
	for _, l := range sorted {
		switch {
		case l.Number <= last:
			return fmt.Errorf("line %d comes after line %d: numbers begin with 1 and each is used once", l.Number, last)
		case !id.Valid(l.SKU) || l.Quantity < 1 || l.Dispatched != 0:
			return fmt.Errorf("line %d is %d pieces of %q", l.Number, l.Quantity, l.SKU)
		}
		last = l.Number
	}
	return nil
}

// Dispatch hands a parcel over: the pieces that it names, or all that is left when it names none. It returns the parcel
// as it left. A refusal changes nothing.
func (s *Shipment) Dispatch(p Parcel) (Parcel, error) {
	switch {
	case s.State == Stopped:
		return p, problem.New(problem.Conflict, "shipment_stopped",
			"The order was canceled before: nothing more of it may leave.").With("order", s.Order)
	case s.State == Dispatched:
		return p, problem.New(problem.Conflict, "already_dispatched",
			"Everything of this order has left already.").With("order", s.Order)
	case len(p.Pieces) == 0:
		p.Pieces = s.rest()
	default:
		var err error
		if p.Pieces, err = s.find(p.Pieces); err != nil {
			return p, err
		}
	}
	if err := s.checkParcels(p); err != nil {
		return p, err
	}
	for _, piece := range p.Pieces {
		s.line(piece.Line).Dispatched += piece.Quantity
	}
	s.State = s.fits()
	s.Parcels = append(s.Parcels, p)
	slices.SortStableFunc(s.Parcels, func(a, b Parcel) int { return a.DispatchedAt.Compare(b.DispatchedAt) })
	return p, nil
}

// rest is all that is left.
func (s *Shipment) rest() []Piece {
	rest := make([]Piece, 0, len(s.Lines))
	for _, l := range s.Lines {
		if l.Left() > 0 {
			rest = append(rest, Piece{l.Number, l.SKU, l.Left()})
		}
	}
	return rest
}

// find gives pieces the SKUs of their lines, or refuses those that are not here, all at once.
func (s *Shipment) find(asked []Piece) ([]Piece, error) {
	found := slices.Clone(asked)
	unknown := problem.New(problem.Unprocessable, "unknown_line", "The order has no such line.").With("order", s.Order)
	short := problem.New(problem.Conflict, "more_than_left", "There is not so much left to be sent.").With("order", s.Order)
	for i := range found {
		piece, line := &found[i], s.line(found[i].Line)
		at := fmt.Sprintf("lines[%d].", i)
		switch {
		case line == nil:
			unknown.On(at+"line", "unknown", fmt.Sprintf("the order has no line %d", piece.Line))
		case piece.SKU != "" && piece.SKU != line.SKU:
			unknown.On(at+"sku", "other_sku", fmt.Sprintf("line %d is %s; leave the SKU out, the line's number says it", line.Number, line.SKU))
		case piece.Quantity > line.Left():
			short.On(at+"quantity", "more_than_left", fmt.Sprintf("line %d (%s) has %s left", line.Number, line.SKU, number(line.Left())))
		default:
			piece.SKU = line.SKU
		}
	}
	switch {
	case len(unknown.Violations) > 0:
		return nil, unknown
	case len(short.Violations) > 0:
		return nil, short
	}
	return found, nil
}

func number(n int32) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// checkParcels bounds the parcels of a shipment, and never so that its rest could not be sent.
func (s *Shipment) checkParcels(p Parcel) error {
	if len(s.Parcels) < ParcelsMax-1 || pieces(p.Pieces) == s.left() {
		return nil
	}
	return problem.Newf(problem.Unprocessable, "too_many_parcels",
		"A shipment has at most %d parcels and this is the last: put all that is left into it.", ParcelsMax).With("order", s.Order)
}

// Stop keeps back what has not left and tells what has. Heard again it answers the same.
func (s *Shipment) Stop() (Outcome, []Piece) {
	left := s.dispatched()
	if s.State == Dispatched {
		return AlreadyDispatched, left
	}
	s.State = Stopped
	return KeptBack, left
}

// dispatched is what has left, by line.
func (s *Shipment) dispatched() []Piece {
	var gone []Piece
	for _, l := range s.Lines {
		if l.Dispatched > 0 {
			gone = append(gone, Piece{l.Number, l.SKU, l.Dispatched})
		}
	}
	return gone
}

// line is the line of that number, nil when there is none.
func (s *Shipment) line(number int32) *Line {
	at, found := slices.BinarySearchFunc(s.Lines, number, func(l Line, n int32) int { return cmp.Compare(l.Number, n) })
	if !found {
		return nil
	}
	return &s.Lines[at]
}

// SKU is the SKU of a line, "" when there is no such line.
func (s *Shipment) SKU(number int32) string {
	if l := s.line(number); l != nil {
		return l.SKU
	}
	return ""
}

// fits is the state that the quantities alone make.
func (s *Shipment) fits() State {
	switch left := s.left(); {
	case left == 0:
		return Dispatched
	case left == s.ordered():
		return Open
	}
	return PartlyDispatched
}

func (s *Shipment) left() (n int64) {
	for _, l := range s.Lines {
		n += int64(l.Left())
	}
	return n
}

func (s *Shipment) ordered() (n int64) {
	for _, l := range s.Lines {
		n += int64(l.Quantity)
	}
	return n
}

func pieces(list []Piece) (n int64) {
	for _, p := range list {
		n += int64(p.Quantity)
	}
	return n
}

// Fault is a rule that a stored shipment breaks.
type Fault struct{ Rule, Message string }

// Faults checks a stored shipment against the rules that its deciders keep.
func (s *Shipment) Faults() []Fault {
	var faults []Fault
	sent := make(map[int32]int64, len(s.Lines))
	for _, p := range s.Parcels {
		for _, piece := range p.Pieces {
			sent[piece.Line] += int64(piece.Quantity)
		}
	}
	for _, l := range s.Lines {
		if l.Dispatched < 0 || l.Dispatched > l.Quantity {
			faults = append(faults, Fault{"dispatched_within_quantity", fmt.Sprintf(
				"%d of line %d are dispatched, %d were ordered", l.Dispatched, l.Number, l.Quantity)})
		}
		if sent[l.Number] != int64(l.Dispatched) {
			faults = append(faults, Fault{"dispatched_is_sum_of_parcels", fmt.Sprintf(
				"%d of line %d are dispatched, its parcels hold %d", l.Dispatched, l.Number, sent[l.Number])})
		}
		delete(sent, l.Number)
	}
	for number := range sent {
		faults = append(faults, Fault{"parcel_has_line", fmt.Sprintf("a parcel holds line %d, which the order does not have", number)})
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Message, b.Message) })
	return append(faults, s.stateFaults()...)
}

// stateFaults: what is stopped has kept something back, and any other state is what its quantities make.
func (s *Shipment) stateFaults() []Fault {
	fits := s.fits()
	switch {
	case s.State == Stopped && (!s.Opened() || fits != Dispatched):
	case s.State == fits && s.Opened():
	default:
		return []Fault{{"state_fits_quantities", fmt.Sprintf(
			"is %q; %d pieces of %d are left", s.State, s.left(), s.ordered())}}
	}
	return nil
}
