package stock

// Order is one order's dealings with the stock: what its runs were promised, and what became of it since.
//
// Four facts are heard of an order, by several ways and so in any sequence: it holds, it is confirmed, pieces of it are
// shipped, pieces of it are given up. They commute: whatever the sequence, the figures of its SKUs end the same. Pieces
// that are shipped or given up go from what is promised, whether held or allocated; where nothing is promised yet, a
// confirmation that is heard later promises only the rest. Shipping takes from the first pieces and giving up from the
// last, so that they meet only in the end.
type Order struct {
	ID     string
	Holds  []Hold
	Moved  []Moved        // what the ledger says; Ship does not need it
	GaveUp map[string]int // pieces given up before, by SKU; Ship does not need it
}

// Moved is what the ledger says that left one location for an order, and that came back to it.
type Moved struct {
	SKU      string
	Location string
	Shipped  int
	Returned int
}

// Parcel is pieces of one SKU that left one location, or came back to it.
type Parcel struct {
	SKU      string
	Location string
	Quantity int
	Short    int  // of these, pieces that somebody else is owed now
	WriteOff bool // came back and cannot be sold again
}

// Confirm allocates what the order holds. The confirmation is a fact: what it misses of its lines is allocated too, in
// late, unless it is shipped or given up already, and owed where nothing is left.
func (s *Shelf) Confirm(o *Order, missing []Line) (late *Hold) {
	for i := range o.Holds {
		if h := &o.Holds[i]; h.State == Held {
			s.allocate(h)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	late = &Hold{Order: o.ID, Run: ConfirmedRun, State: Allocated}
	for _, line := range missing {
		gone := min(line.Quantity, o.unmatched(line.SKU))
		late.Pieces = s.Item(line.SKU).promiseLate(late.Pieces, line.Quantity-gone, gone)
	}
	late.settle(o.ended())
	o.Holds = append(o.Holds, *late)
	return late
}

// allocate turns held pieces into allocated ones. What can be sold stays the same, so the SKU has no new figure.
func (s *Shelf) allocate(h *Hold) {
	for _, p := range h.Pieces {
		if left := h.left(p); left > 0 {
			level := s.Item(p.SKU).level(p.Location)
			level.promise(Held, -left)
			level.promise(Allocated, left)
		}
	}
	h.State = Allocated
}

// Missing is what the lines ask for beyond what the order was promised; nothing once a confirmation has seen to it.
func (o *Order) Missing(lines []Line) []Line {
	asked := Merge(lines)
	has := make(map[string]int, len(asked))
	for i := range o.Holds {
		h := &o.Holds[i]
		if h.Run == ConfirmedRun {
			return nil
		}
		for _, p := range h.Pieces {
			has[p.SKU] += h.Had(p)
		}
	}
	var rest []Line
	for _, line := range asked {
		if n := line.Quantity - has[line.SKU]; n > 0 {
			rest = append(rest, Line{line.SKU, n})
		}
	}
	return rest
}

// unmatched is how many pieces were shipped or given up of which nothing was promised.
func (o *Order) unmatched(sku string) int {
	n := o.shipped(sku) + o.GaveUp[sku]
	for i := range o.Holds {
		h := &o.Holds[i]
		for _, p := range h.Pieces {
			if p.SKU == sku {
				n -= h.gone(p)
			}
		}
	}
	return max(0, n)
}

func (o *Order) shipped(sku string) (n int) {
	for _, m := range o.Moved {
		if m.SKU == sku {
			n += m.Shipped
		}
	}
	return n
}

// promiseLate allocates n pieces, and notes others that are gone before they were promised.
func (i *Item) promiseLate(pieces []Piece, n, gone int) []Piece {
	from := len(pieces)
	if n > 0 {
		pieces = i.promise(pieces, n, Allocated)
	}
	if gone == 0 {
		return pieces
	}
	if len(pieces) == from {
		level := i.level(i.first())
		level.changed = true // there is a level wherever there is a promise
		pieces = append(pieces, Piece{SKU: i.SKU, Location: level.Location})
	}
	pieces[from].Quantity += gone
	pieces[from].Gone = gone
	return pieces
}

// settle ends a hold that promises nothing any more.
func (h *Hold) settle(as State) {
	if !h.State.promising() {
		return
	}
	for _, p := range h.Pieces {
		if h.left(p) > 0 {
			return
		}
	}
	h.State = as
}

// ended is the state of a hold of which nothing is left: shipped, if any piece was.
func (o *Order) ended() State {
	for _, m := range o.Moved {
		if m.Shipped > 0 {
			return Shipped
		}
	}
	return Released
}

// Ship takes pieces that left for the customer off the stock and off what is promised. It is a fact: pieces that were not
// promised, or are not on hand by the books, have left all the same.
func (s *Shelf) Ship(o *Order, lines []Line) (parcels []Parcel) {
	lines = Merge(lines)
	parcels = make([]Parcel, 0, len(lines))
	rest := o.goes(lines, false, func(h *Hold, p *Piece, n int) {
		level := s.Item(p.SKU).level(p.Location)
		level.promise(h.State, -n)
		level.OnHand -= n
		level.Known = true
		left := h.left(*p)
		owed := min(left, p.Backordered) - min(left-n, p.Backordered)
		parcels = append(parcels, Parcel{SKU: p.SKU, Location: p.Location, Quantity: n, Short: owed})
	})
	for _, line := range lines {
		if n := rest[line.SKU]; n > 0 {
			parcels = s.Item(line.SKU).lose(parcels, n)
		}
	}
	for i := range o.Holds {
		o.Holds[i].settle(Shipped)
	}
	return parcels
}

// lose ships pieces that were not promised: from the locations that have some, in their order, the rest from the first.
func (i *Item) lose(parcels []Parcel, n int) []Parcel {
	for k := range i.Levels {
		if got := min(n, i.Levels[k].OnHand); got > 0 {
			short := i.move(&i.Levels[k], -got)
			parcels = append(parcels, Parcel{SKU: i.SKU, Location: i.Levels[k].Location, Quantity: got, Short: short})
			n -= got
		}
	}
	if n > 0 {
		level := i.level(i.first())
		short := i.move(level, -n)
		parcels = append(parcels, Parcel{SKU: i.SKU, Location: level.Location, Quantity: n, Short: short})
	}
	return parcels
}

// GiveUp gives pieces back that the order was promised and will not get.
func (s *Shelf) GiveUp(o *Order, lines []Line) {
	lines = Merge(lines)
	o.goes(lines, true, func(h *Hold, p *Piece, n int) {
		item := s.Item(p.SKU)
		item.level(p.Location).promise(h.State, -n)
		item.touch()
	})
	if o.GaveUp == nil {
		o.GaveUp = make(map[string]int, len(lines))
	}
	for _, line := range lines {
		o.GaveUp[line.SKU] += line.Quantity
	}
	for i := range o.Holds {
		o.Holds[i].settle(o.ended())
	}
}

// goes takes pieces from what the order is still promised, from the first or from the last on, tells each before it is
// gone, and returns what was not promised.
func (o *Order) goes(lines []Line, last bool, tell func(h *Hold, p *Piece, n int)) (rest map[string]int) {
	rest = make(map[string]int, len(lines))
	for _, line := range lines {
		rest[line.SKU] += line.Quantity
	}
	for i := range o.Holds {
		h := &o.Holds[i]
		if last {
			h = &o.Holds[len(o.Holds)-1-i]
		}
		for k := range h.Pieces {
			p := &h.Pieces[k]
			if last {
				p = &h.Pieces[len(h.Pieces)-1-k]
			}
			if n := min(rest[p.SKU], h.left(*p)); n > 0 {
				tell(h, p, n)
				p.Gone += n
				rest[p.SKU] -= n
			}
		}
	}
	return rest
}

// moved is what an order had from a location.
func (o *Order) moved(sku, location string) *Moved {
	for i := range o.Moved {
		if m := &o.Moved[i]; m.SKU == sku && m.Location == location {
			return m
		}
	}
	o.Moved = append(o.Moved, Moved{SKU: sku, Location: location})
	return &o.Moved[len(o.Moved)-1]
}

// Back is pieces that came back.
type Back struct {
	Line
	WriteOff bool // they cannot be sold again
}

// TakeBack puts pieces on hand again where they had left, and writes those off that cannot be sold again. It is a fact:
// pieces that never left come back to the first location that sent any, or to the main one.
func (s *Shelf) TakeBack(o *Order, back []Back) (parcels []Parcel) {
	for _, b := range back {
		for n := b.Quantity; n > 0; {
			m := o.comesBack(b.SKU)
			got := n
			if out := m.Shipped - m.Returned; out > 0 {
				got = min(n, out)
			}
			m.Returned += got
			n -= got
			parcels = append(parcels, Parcel{SKU: b.SKU, Location: m.Location, Quantity: got, WriteOff: b.WriteOff})
			item := s.Item(b.SKU)
			if level := item.level(m.Location); b.WriteOff {
				level.know() // it comes and goes: no new figure
			} else {
				item.move(level, got)
			}
		}
	}
	return parcels
}

// comesBack is the location to which the next piece comes back.
func (o *Order) comesBack(sku string) (to *Moved) {
	for i := range o.Moved {
		m := &o.Moved[i]
		if m.SKU != sku || m.Shipped == 0 {
			continue
		}
		if m.Returned < m.Shipped {
			return m
		}
		if to == nil {
			to = m
		}
	}
	if to == nil {
		return o.moved(sku, Main)
	}
	return to
}

func (l *Level) know() {
	if !l.Known {
		l.Known, l.changed = true, true
	}
}
