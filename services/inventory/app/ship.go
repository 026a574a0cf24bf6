package app

import (
	"slices"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// Dispatch is the fact that a parcel left for an order's customer.
type Dispatch struct {
	Order  string
	Parcel string
	Lines  []stock.Line
	At     time.Time // zero: now
	Meta   eventlog.Meta
}

// Ship takes what left off the stock and off what orders are promised, each parcel once. It is the answer to facts and
// refuses nothing: a confirmation that is heard later promises only what has not left by then.
func (inv *Inventory) Ship(tx sqlstore.Tx, dispatched []Dispatch) error {
	for some := range slices.Chunk(dispatched, ordersMax) {
		fresh, err := hear(inv.rows(tx), factShipped, some, func(s Dispatch) fact { return fact{s.Order, s.Parcel} })
		if err != nil {
			return err
		}
		if err := inv.ship(tx, fresh); err != nil {
			return err
		}
	}
	return nil
}

func (inv *Inventory) ship(tx sqlstore.Tx, dispatched []Dispatch) error {
	if len(dispatched) == 0 {
		return nil
	}
	d, err := begin(inv, tx, dispatched, func(s Dispatch) string { return s.Order })
	if err != nil {
		return err
	}
	for _, s := range dispatched {
		if err := d.lines(s.Lines); err != nil {
			return err
		}
		o := d.orders[s.Order]
		d.move(o, d.shelf.Ship(o, s.Lines), s.At, stock.Dispatched, s.Meta)
		if err := d.tell(o, CauseShipped, s.Meta); err != nil {
			return err
		}
	}
	return d.end()
}

// Return is the fact that pieces of an order came back.
type Return struct {
	Order string
	ID    string
	Back  []stock.Back
	At    time.Time // zero: now
	Meta  eventlog.Meta
}

// TakeBack puts on hand what came back, each return once, and writes off what cannot be sold again. It is the answer to
// facts and refuses nothing.
func (inv *Inventory) TakeBack(tx sqlstore.Tx, returned []Return) error {
	for some := range slices.Chunk(returned, ordersMax) {
		fresh, err := hear(inv.rows(tx), factReturned, some, func(b Return) fact { return fact{b.Order, b.ID} })
		if err != nil {
			return err
		}
		if err := inv.takeBack(tx, fresh); err != nil {
			return err
		}
	}
	return nil
}

func (inv *Inventory) takeBack(tx sqlstore.Tx, returned []Return) error {
	if len(returned) == 0 {
		return nil
	}
	d, err := begin(inv, tx, returned, func(b Return) string { return b.Order })
	if err != nil {
		return err
	}
	for _, b := range returned {
		if err := d.takeBack(b); err != nil {
			return err
		}
	}
	return d.end()
}

func (d *deal) takeBack(b Return) error {
	lines := make([]stock.Line, len(b.Back))
	for i := range b.Back {
		lines[i] = b.Back[i].Line
	}
	if err := d.lines(lines); err != nil {
		return err
	}
	o := d.orders[b.Order]
	if err := d.recall(o); err != nil {
		return err
	}
	d.move(o, d.shelf.TakeBack(o, b.Back), b.At, stock.Returned, b.Meta)
	return d.tell(o, CauseReturned, b.Meta)
}
