package stock

import (
	"slices"
	"strconv"

	"github.com/seed-21071466/souk/kit/problem"
)

// Line is pieces of one SKU that somebody wants.
type Line struct {
	SKU      string
	Quantity int
}

// Piece is pieces of one SKU promised at one location.
type Piece struct {
	SKU         string
	Location    string
	Quantity    int
	Backordered int // of these, pieces beyond what was available
}

// Shelf is the SKUs that one command is about, loaded together. Its verbs change them in place, all or nothing.
type Shelf struct {
	items map[string]*Item
	order []*Item
}

// NewShelf has room for n SKUs.
func NewShelf(n int) *Shelf {
	return &Shelf{items: make(map[string]*Item, n), order: make([]*Item, 0, n)}
}

// Item finds a SKU; one that nobody has heard of is there with nothing on hand.
func (s *Shelf) Item(sku string) *Item {
	if item, ok := s.items[sku]; ok {
		return item
	}
	item := &Item{SKU: sku}
	s.items[sku] = item
	s.order = append(s.order, item)
	return item
}

// Items are the SKUs in the order in which they were first named.
func (s *Shelf) Items() []*Item { return s.order }

// Figures are the new figures of the SKUs that changed.
func (s *Shelf) Figures() []Figure {
	figures := make([]Figure, 0, len(s.order))
	for _, item := range s.order {
		if item.changed {
			figures = append(figures, item.Figure())
		}
	}
	return figures
}

// Merge adds up the lines that name the same SKU, in the order in which SKUs first appear.
func Merge(lines []Line) []Line {
	merged := make([]Line, 0, len(lines))
	at := make(map[string]int, len(lines))
	for _, line := range lines {
		if k, ok := at[line.SKU]; ok {
			merged[k].Quantity += line.Quantity
			continue
		}
		at[line.SKU] = len(merged)
		merged = append(merged, line)
	}
	return merged
}

// Hold takes all lines off what is available, or refuses with sold_out that names each short line and takes nothing.
func (s *Shelf) Hold(lines []Line) ([]Piece, error) {
	lines = Merge(lines)
	if err := s.short(lines); err != nil {
		return nil, err
	}
	pieces := make([]Piece, 0, len(lines))
	for _, line := range lines {
		pieces = s.Item(line.SKU).promise(pieces, line.Quantity, (*Level).hold)
	}
	return pieces, nil
}

// Force allocates lines whether or not there is stock: their order is confirmed, which is a fact. What is missing is owed.
func (s *Shelf) Force(lines []Line) []Piece {
	var pieces []Piece
	for _, line := range Merge(lines) {
		pieces = s.Item(line.SKU).promise(pieces, line.Quantity, (*Level).allocate)
	}
	return pieces
}

// Allocate turns held pieces into allocated ones. What can be sold stays the same, so the SKU has no new figure.
func (s *Shelf) Allocate(pieces []Piece) {
	for _, p := range pieces {
		level := s.Item(p.SKU).level(p.Location)
		level.hold(-p.Quantity)
		level.allocate(p.Quantity)
	}
}

// Release gives pieces back that were promised in that state, Held or Allocated.
func (s *Shelf) Release(state State, pieces []Piece) {
	for _, p := range pieces {
		s.change(p, func(l *Level) {
			if state == Allocated {
				l.allocate(-p.Quantity)
			} else {
				l.hold(-p.Quantity)
			}
		})
	}
}

func (l *Level) hold(n int)     { l.Held += n; l.changed = true }
func (l *Level) allocate(n int) { l.Allocated += n; l.changed = true }

func (s *Shelf) change(p Piece, by func(*Level)) {
	item := s.Item(p.SKU)
	by(item.level(p.Location))
	item.touch()
}

// short is the refusal that names every line which cannot be held, nil if all can.
func (s *Shelf) short(lines []Line) error {
	var refusal *problem.Error
	for _, line := range lines {
		left, unbounded := s.Item(line.SKU).Figure().Sellable()
		if unbounded || line.Quantity <= left {
			continue
		}
		if refusal == nil {
			refusal = problem.New(problem.Conflict, "sold_out", "not enough stock: "+line.SKU+": "+only(left))
		}
		refusal.On(line.SKU, "sold_out", only(left))
	}
	if refusal == nil {
		return nil
	}
	return refusal
}

func only(left int) string {
	if left == 0 {
		return "none left"
	}
	return "only " + strconv.Itoa(left) + " left"
}

// promise takes n pieces from the locations in their order; what none of them has is owed by the first.
func (i *Item) promise(pieces []Piece, n int, take func(*Level, int)) []Piece {
	from := len(pieces)
	here := min(n, max(0, i.Available()))
	owed := n - here
	for k := range i.Levels {
		level := &i.Levels[k]
		if got := min(here, level.Available()); got > 0 {
			take(level, got)
			pieces = append(pieces, Piece{SKU: i.SKU, Location: level.Location, Quantity: got})
			here -= got
		}
	}
	i.touch()
	if owed == 0 {
		return pieces
	}
	return i.owe(pieces, from, owed, take)
}

// owe promises pieces that are nowhere; pieces[from:] are those that this line has already got.
func (i *Item) owe(pieces []Piece, from, n int, take func(*Level, int)) []Piece {
	location := i.first()
	take(i.level(location), n)
	k := slices.IndexFunc(pieces[from:], func(p Piece) bool { return p.Location == location })
	if k < 0 {
		return append(pieces, Piece{SKU: i.SKU, Location: location, Quantity: n, Backordered: n})
	}
	pieces[from+k].Quantity += n
	pieces[from+k].Backordered = n
	return pieces
}
