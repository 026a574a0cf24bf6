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
	Gone        int // of these, pieces that were shipped or given back since; those beyond what was available go last
}

// Shelf is the SKUs that one command, or a batch of facts, is about, loaded together. A verb of a command changes them in
// place, all or nothing.
type Shelf struct {
	items map[string]*Item
	order []*Item
	news  []*Item
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
	return s.Put(&Item{SKU: sku})
}

// Has tells whether a SKU was named before.
func (s *Shelf) Has(sku string) bool { return s.items[sku] != nil }

// Put adds an item that is not there yet.
func (s *Shelf) Put(item *Item) *Item {
	item.shelf = s
	s.items[item.SKU] = item
	s.order = append(s.order, item)
	return item
}

// Items are the SKUs in the order in which they were first named.
func (s *Shelf) Items() []*Item { return s.order }

// Clear takes all items off the shelf, which is of no more use: each is as if it had just been loaded.
func (s *Shelf) Clear() {
	for _, item := range s.order {
		item.rest()
	}
	*s = Shelf{}
}

// News are the new figures of the SKUs that got one since News was last asked.
func (s *Shelf) News() []Figure {
	figures := make([]Figure, len(s.news))
	for i, item := range s.news {
		figures[i] = item.Figure()
		item.touched = false
	}
	s.news = s.news[:0]
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
		pieces = s.Item(line.SKU).promise(pieces, line.Quantity, Held)
	}
	return pieces, nil
}

// Release ends a hold: what it still promises is given back.
func (s *Shelf) Release(h *Hold) {
	for _, p := range h.Pieces {
		if left := h.left(p); left > 0 {
			item := s.Item(p.SKU)
			item.level(p.Location).promise(h.State, -left)
			item.touch()
		}
	}
	h.State = Released
}

// promise counts n pieces more as promised in that state, Held or Allocated.
func (l *Level) promise(state State, n int) {
	if state == Held {
		l.Held += n
	} else {
		l.Allocated += n
	}
	l.changed = true
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
func (i *Item) promise(pieces []Piece, n int, state State) []Piece {
	from := len(pieces)
	here := min(n, max(0, i.Available()))
	owed := n - here
	for k := range i.Levels {
		level := &i.Levels[k]
		if got := min(here, level.Available()); got > 0 {
			level.promise(state, got)
			pieces = append(pieces, Piece{SKU: i.SKU, Location: level.Location, Quantity: got})
			here -= got
		}
	}
	i.touch()
	if owed == 0 {
		return pieces
	}
	return i.owe(pieces, from, owed, state)
}

// owe promises pieces that are nowhere; pieces[from:] are those that this line has already got.
func (i *Item) owe(pieces []Piece, from, n int, state State) []Piece {
	location := i.first()
	i.level(location).promise(state, n)
	k := slices.IndexFunc(pieces[from:], func(p Piece) bool { return p.Location == location })
	if k < 0 {
		return append(pieces, Piece{SKU: i.SKU, Location: location, Quantity: n, Backordered: n})
	}
	pieces[from+k].Quantity += n
	pieces[from+k].Backordered = n
	return pieces
}
