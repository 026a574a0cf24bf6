// Package stock is the heart of inventory: what a hold, a release, a
// confirmation, a movement and a count do to the figures of a SKU. It is pure;
// whoever calls it loads the SKUs, and saves what it changed.
//
// The words, by SKU and by location:
//
//	on hand   = the sum of the movements
//	available = on hand − held − allocated
package stock

import "slices"

// Main is the location that stands for "none named".
const Main = "main"

// PiecesMax bounds a quantity in one line, one movement or one count.
const PiecesMax = 1_000_000

// OnHandMax bounds the stock of one SKU at one location.
const OnHandMax = 1_000_000_000

// Item is one SKU at all its locations.
type Item struct {
	SKU      string
	Policy   Policy
	Revision int64 // grows by one with each new figure
	Levels   []Level
	Listed   bool // the shop has heard of it: there is something to load
	shelf    *Shelf
	policed  bool // has another policy than what was loaded
	grew     bool // has a level that was not loaded
	touched  bool // has a new figure since the shelf last told its news
}

// Policy says whether a SKU may be sold beyond what is available.
type Policy struct {
	Backorder bool
	Limit     int // at most this many beyond; without bound when 0
}

// Level is one SKU at one location. An Item has its levels in the order in which locations give: by priority, then by id.
type Level struct {
	Location  string
	OnHand    int
	Held      int  // promised to undecided orders
	Allocated int  // promised to confirmed orders
	Known     bool // something was received, counted or shipped here; a promise beyond stock does not make a level known
	changed   bool
}

// Figure is what the world may know of a SKU; of two, the one with the higher revision holds.
type Figure struct {
	SKU       string
	Available int // below zero after a backorder, a count or a late confirmation
	Policy    Policy
	Revision  int64
}

// Available is what this location can still promise.
func (l *Level) Available() int { return l.OnHand - l.Held - l.Allocated }

// Changed reports whether this level differs from what was loaded.
func (l *Level) Changed() bool { return l.changed }

// Sums are the figures of all locations together.
func (i *Item) Sums() (onHand, held, allocated int) {
	for k := range i.Levels {
		l := &i.Levels[k]
		onHand, held, allocated = onHand+l.OnHand, held+l.Held, allocated+l.Allocated
	}
	return onHand, held, allocated
}

// Available is what can be sold of the SKU, all locations together: what one location owes, another cannot sell.
func (i *Item) Available() int {
	onHand, held, allocated := i.Sums()
	return onHand - held - allocated
}

// Figure is the SKU as it stands now.
func (i *Item) Figure() Figure {
	return Figure{SKU: i.SKU, Available: i.Available(), Policy: i.Policy, Revision: i.Revision}
}

// Policed reports whether the item has another policy than what was loaded.
func (i *Item) Policed() bool { return i.policed }

// Grew reports whether the item has a level that was not loaded; it is the last then, whatever its location's priority.
func (i *Item) Grew() bool { return i.grew }

// Clone is another item like this one, on no shelf.
func (i *Item) Clone() *Item {
	clone := *i
	clone.Levels = slices.Clone(i.Levels)
	clone.rest()
	return &clone
}

// rest leaves the item as if it had just been loaded.
func (i *Item) rest() {
	i.shelf, i.policed, i.touched, i.grew = nil, false, false, false
	for k := range i.Levels {
		i.Levels[k].changed = false
	}
}

// SetPolicy replaces the policy and reports whether it is another one.
func (i *Item) SetPolicy(p Policy) bool {
	if i.Policy == p {
		return false
	}
	i.Policy = p
	i.policed = true
	i.touch()
	return true
}

// Sellable is how many pieces a hold could take now, and whether there is no bound.
func (f Figure) Sellable() (pieces int, unbounded bool) {
	if f.Policy.Backorder && f.Policy.Limit == 0 {
		return max(0, f.Available), true
	}
	if f.Policy.Backorder {
		return max(0, f.Available+f.Policy.Limit), false
	}
	return max(0, f.Available), false
}

// touch says that there is a new figure.
func (i *Item) touch() {
	if !i.touched {
		i.touched = true
		i.Revision++
		i.shelf.news = append(i.shelf.news, i)
	}
}

// level finds the level of a location, and makes an empty one where there was none.
func (i *Item) level(location string) *Level {
	at := slices.IndexFunc(i.Levels, func(l Level) bool { return l.Location == location })
	if at < 0 {
		i.Levels = append(i.Levels, Level{Location: location})
		i.grew = true
		at = len(i.Levels) - 1
	}
	return &i.Levels[at]
}

// first is the location that owes what no location has.
func (i *Item) first() string {
	if len(i.Levels) == 0 {
		return Main
	}
	return i.Levels[0].Location
}
