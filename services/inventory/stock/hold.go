package stock

import (
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// State is where a hold stands.
type State string

// The states of a hold. Canceled is the tombstone that a release leaves where it found nothing.
const (
	Held      State = "held"
	Allocated State = "allocated"
	Released  State = "released"
	Shipped   State = "shipped"
	Canceled  State = "canceled"
)

// ConfirmedRun is the run of an allocation that a confirmation had to make itself, as its order held too little by then.
// It is not the order's own run, so that a release heard again cannot end it.
const ConfirmedRun = "confirmed"

// Hold is what one run of one order was promised.
type Hold struct {
	Order    string
	Run      string
	State    State
	At       time.Time
	Deadline time.Time
	Pieces   []Piece
}

// Live tells whether the pieces are promised or gone to the customer.
func (s State) Live() bool { return s == Held || s == Allocated || s == Shipped }

// Again is the answer to a hold that was asked for before: what it got then, unless its run has been undone since.
func (h Hold) Again() ([]Piece, error) {
	if h.State.Live() {
		return h.Pieces, nil
	}
	return nil, problem.New(problem.Conflict, "hold_canceled", "the hold of order "+h.Order+" was released; this run cannot hold again")
}

// Outcome is what a release found.
type Outcome string

// The outcomes of a release.
const (
	WasReleased     Outcome = "released"
	WasNothing      Outcome = "nothing"
	AlreadyReleased Outcome = "already_released"
)

// Undo says what a release of this hold does. Shipped pieces come back by a return, not by a release.
func (h Hold) Undo() (Outcome, error) {
	switch h.State {
	case Held, Allocated:
		return WasReleased, nil
	case Released:
		return AlreadyReleased, nil
	case Shipped:
		return "", problem.New(problem.Conflict, "already_shipped", "order "+h.Order+" has been shipped; record a return instead")
	default:
		return WasNothing, nil
	}
}

// Confirm allocates what the order holds. The confirmation is a fact: lines that the order does not hold any more are
// allocated too, in late, and owed where nothing is left.
func (s *Shelf) Confirm(order string, holds []Hold, lines []Line) (allocated []Hold, late *Hold) {
	if !Holding(holds, lines) {
		late = &Hold{Order: order, Run: ConfirmedRun, State: Allocated}
	}
	for _, h := range holds {
		if h.State == Held {
			s.Allocate(h.Pieces)
			h.State = Allocated
			allocated = append(allocated, h)
		}
	}
	if late != nil {
		late.Pieces = s.Force(missing(holds, lines))
	}
	return allocated, late
}

// Holding tells whether the holds of an order have all of its lines: its confirmation then allocates them as they are.
func Holding(holds []Hold, lines []Line) bool { return len(missing(holds, lines)) == 0 }

// missing is what the lines ask for beyond what the holds have; nothing once a confirmation has seen to it.
func missing(holds []Hold, lines []Line) []Line {
	has := make(map[string]int, len(lines))
	for _, h := range holds {
		if h.Run == ConfirmedRun {
			return nil
		}
		for _, p := range h.Pieces {
			if h.State.Live() {
				has[p.SKU] += p.Quantity
			}
		}
	}
	var rest []Line
	for _, line := range Merge(lines) {
		if n := line.Quantity - has[line.SKU]; n > 0 {
			rest = append(rest, Line{line.SKU, n})
		}
	}
	return rest
}
