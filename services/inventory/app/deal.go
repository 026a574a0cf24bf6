package app

import (
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// ordersMax bounds the orders of one deal. It is a power of two.
const ordersMax = 128

// deal is facts of some orders: all that they touch is loaded together, the heart takes one fact after the other, and what
// they come to is saved together.
type deal struct {
	inv    *Inventory
	r      rows
	orders map[string]*stock.Order
	known  map[string][]saved // of each order's holds, as the rows have them
	shelf  *stock.Shelf
	ledger []stock.Movement
}

// saved is what may change of a hold, as its rows have it.
type saved struct {
	state stock.State
	gone  []int
}

// begin loads the orders of facts with all SKUs that they were promised.
func begin[F any](inv *Inventory, tx sqlstore.Tx, facts []F, order func(F) string) (*deal, error) {
	d := &deal{
		inv: inv, r: inv.rows(tx), orders: make(map[string]*stock.Order, len(facts)), known: make(map[string][]saved, len(facts)),
	}
	ids := make([]any, 0, len(facts))
	for i := range facts {
		if id := order(facts[i]); d.orders[id] == nil {
			d.orders[id] = &stock.Order{ID: id}
			ids = append(ids, id)
		}
	}
	holds, err := d.r.selectHoldsOf(ids)
	if err != nil {
		return nil, err
	}
	var skus []string
	for i := range holds {
		skus = d.take(&holds[i], skus)
	}
	d.shelf, err = d.r.loadShelf(skus)
	return d, err
}

// take adds a hold to its order, and its SKUs to a list.
func (d *deal) take(h *stock.Hold, skus []string) []string {
	was := saved{h.State, make([]int, len(h.Pieces))}
	for k := range h.Pieces {
		skus = append(skus, h.Pieces[k].SKU)
		was.gone[k] = h.Pieces[k].Gone
	}
	o := d.orders[h.Order]
	o.Holds, d.known[h.Order] = append(o.Holds, *h), append(d.known[h.Order], was)
	return skus
}

// lines makes sure that the SKUs of lines are on the shelf.
func (d *deal) lines(lines []stock.Line) error {
	skus := make([]string, len(lines))
	for i := range lines {
		skus[i] = lines[i].SKU
	}
	return d.r.load(d.shelf, skus)
}

// recall loads what became of an order since it was promised anything.
func (d *deal) recall(o *stock.Order) (err error) {
	if o.Moved == nil {
		o.Moved, err = d.r.selectMoved(o.ID)
	}
	if err == nil && o.GaveUp == nil {
		o.GaveUp, err = d.r.selectGivenUp(o.ID)
	}
	return err
}

// move adds what left or came back to the ledger.
func (d *deal) move(o *stock.Order, parcels []stock.Parcel, at time.Time, kind stock.Kind, meta eventlog.Meta) {
	if at.IsZero() {
		at = d.inv.Clock.Now()
	}
	for _, p := range parcels {
		m := stock.Movement{
			SKU: p.SKU, Location: p.Location, Kind: kind, Delta: kind.Delta(p.Quantity), Short: p.Short,
			Actor: meta.Actor, At: at, Order: o.ID,
		}
		d.ledger = append(d.ledger, m)
		if p.WriteOff {
			m.Kind, m.Delta = stock.WrittenOff, stock.WrittenOff.Delta(p.Quantity)
			d.ledger = append(d.ledger, m)
		}
	}
}

// tell says what is news since the last fact.
func (d *deal) tell(o *stock.Order, cause Cause, meta eventlog.Meta) error {
	return d.inv.tell(d.r, d.shelf, o.ID, cause, o.ID, meta)
}

// end saves what the facts have come to.
func (d *deal) end() error {
	became := make(map[stock.State][]*stock.Hold)
	for order, o := range d.orders {
		for i := range o.Holds {
			h, known := &o.Holds[i], d.known[order]
			if i >= len(known) {
				if err := d.inv.insertLate(d.r, *h); err != nil {
					return err
				}
				continue
			}
			if h.State != known[i].state {
				became[h.State] = append(became[h.State], h)
			}
			if err := d.r.updateGone(h, known[i].gone); err != nil {
				return err
			}
		}
	}
	for state, holds := range became {
		if err := d.r.updateStates(state, holds); err != nil {
			return err
		}
	}
	if err := d.r.insertMovements(d.ledger); err != nil {
		return err
	}
	return d.r.saveShelf(d.shelf)
}

// updateGone writes how much of a hold's pieces is gone. Of one that is shipped its state says so.
func (r rows) updateGone(h *stock.Hold, was []int) error {
	if h.State == stock.Shipped {
		return nil
	}
	var changed []stock.Piece
	for k := range h.Pieces {
		if h.Pieces[k].Gone != was[k] {
			changed = append(changed, h.Pieces[k])
		}
	}
	return r.insertPieces(h, changed)
}

func (inv *Inventory) insertLate(r rows, late stock.Hold) error {
	late.At = inv.Clock.Now()
	late.Deadline = late.At
	if _, err := r.insertHold(late); err != nil {
		return err
	}
	r.AfterCommit(func() {
		inv.Slog.Warn("an order was confirmed without the stock that it should hold; it is allocated now",
			"order", late.Order, "pieces", count(late.Pieces), "owed", owed(late.Pieces))
	})
	return r.insertPieces(&late, late.Pieces)
}
