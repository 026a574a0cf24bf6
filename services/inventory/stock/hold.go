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
func (s State) Live() bool { return s.promising() || s == Shipped }

// promising tells whether pieces are still promised.
func (s State) promising() bool { return s == Held || s == Allocated }

// left is how many of its pieces the hold still promises.
func (h *Hold) left(p Piece) int {
	if !h.State.promising() {
		return 0
	}
	return p.Quantity - p.Gone
}

// Had is how many of its pieces the hold has promised for good: all while it lives, else those that had gone before.
func (h *Hold) Had(p Piece) int {
	if h.State.Live() {
		return p.Quantity
	}
	return p.Gone
}

// gone is how many of its pieces are shipped or given back; of a shipped hold that is all, whatever its pieces say.
func (h *Hold) gone(p Piece) int {
	if h.State == Shipped {
		return p.Quantity
	}
	return p.Gone
}

// Left are the pieces that the hold still promises.
func (h *Hold) Left() []Piece {
	var left []Piece
	for _, p := range h.Pieces {
		if n := h.left(p); n > 0 {
			left = append(left, Piece{SKU: p.SKU, Location: p.Location, Quantity: n, Backordered: min(n, p.Backordered)})
		}
	}
	return left
}

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
