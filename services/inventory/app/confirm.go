package app

import (
	"slices"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// Confirmation is the fact that an order was confirmed.
type Confirmation struct {
	Order string
	Lines []stock.Line
	Meta  eventlog.Meta
}

// Confirm turns what orders hold into allocations. It is the answer to facts and refuses nothing: what an order does not
// hold any more is allocated all the same, and owed where nothing is left.
func (inv *Inventory) Confirm(tx sqlstore.Tx, confirmed []Confirmation) error {
	for some := range slices.Chunk(confirmed, ordersMax) {
		d, err := begin(inv, tx, some, func(c Confirmation) string { return c.Order })
		if err != nil {
			return err
		}
		for _, c := range some {
			if err := d.confirm(c); err != nil {
				return err
			}
		}
		if err := d.end(); err != nil {
			return err
		}
	}
	return nil
}

func (d *deal) confirm(c Confirmation) error {
	o := d.orders[c.Order]
	missing := o.Missing(c.Lines)
	if len(missing) > 0 {
		if err := d.recall(o); err != nil {
			return err
		}
		if err := d.lines(missing); err != nil {
			return err
		}
	}
	d.shelf.Confirm(o, missing)
	return d.tell(o, CauseAllocated, c.Meta)
}
