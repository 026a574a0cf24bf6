package stock

import (
	"time"

	"github.com/seed-21071466/souk/kit/problem"
)

// Kind says why stock on hand changed.
type Kind string

// The kinds of movements. Staff record the first three; shipping and returns write the others.
const (
	Received   Kind = "received"
	Adjusted   Kind = "adjusted"
	WrittenOff Kind = "written_off"
	Dispatched Kind = "shipped"
	Returned   Kind = "returned"
)

// Movement is one line of the ledger; it never changes.
type Movement struct {
	Number   int64 // its place in the ledger, from 1
	SKU      string
	Location string
	Kind     Kind
	Delta    int // what it adds to the stock on hand
	Short    int // how many pieces that had been promised it took away
	Reason   string
	Actor    string
	At       time.Time
	Order    string // the order behind it, if any
}

// Quantity is the movement as people write it: pieces received, written off or shipped are positive.
func (m Movement) Quantity() int { return m.Kind.sign() * m.Delta }

// Delta is what a quantity of this kind adds to the stock on hand.
func (k Kind) Delta(quantity int) int { return k.sign() * quantity }

func (k Kind) sign() int {
	if k == WrittenOff || k == Dispatched {
		return -1
	}
	return 1
}

// Signed tells whether a quantity of this kind may be below zero.
func (k Kind) Signed() bool { return k == Adjusted }

// Valid tells whether there is such a kind.
func (k Kind) Valid() bool { return k.Recordable() || k == Dispatched || k == Returned }

// Recordable tells whether staff may write this kind.
func (k Kind) Recordable() bool { return k == Received || k == Adjusted || k == WrittenOff }

// Move adds delta to the stock on hand of one location. It refuses to leave less than nothing there; it may leave less
// than was promised, and then says how many promised pieces it took away.
func (s *Shelf) Move(sku, location string, delta int) (short int, err error) {
	item := s.Item(sku)
	level := item.level(location)
	if delta < 0 && level.OnHand+delta < 0 {
		return 0, problem.Newf(problem.Conflict, "below_zero",
			"%s at %s has %d on hand and cannot lose %d", sku, location, level.OnHand, -delta)
	}
	if level.OnHand+delta > OnHandMax {
		return 0, problem.Newf(problem.Conflict, "above_maximum",
			"%s at %s has %d on hand and may have at most %d", sku, location, level.OnHand, OnHandMax)
	}
	return item.move(level, delta), nil
}

// Count is what was found of one SKU at one location.
type Count struct {
	SKU      string
	Location string
	OnHand   int
}

// Count sets what was counted and tells the difference, 0 if the books were right. With onlyNew a level that is
// already known stays as it is.
func (s *Shelf) Count(c Count, onlyNew bool) (delta, short int) {
	item := s.Item(c.SKU)
	level := item.level(c.Location)
	if level.Known && onlyNew {
		return 0, 0
	}
	delta = c.OnHand - level.OnHand
	if delta == 0 {
		level.changed = level.changed || !level.Known
		level.Known = true
		return 0, 0
	}
	return delta, item.move(level, delta)
}

func (i *Item) move(level *Level, delta int) (short int) {
	before := owed(i.Available())
	level.OnHand += delta
	level.Known = true
	level.changed = true
	i.touch()
	return max(0, owed(i.Available())-before)
}

func owed(available int) int { return max(0, -available) }
