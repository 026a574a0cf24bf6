package app

import (
	"fmt"
	"slices"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/shipping/shipment"
)

// Confirmation is the fact that an order was confirmed.
type Confirmation struct {
	Order   string
	Subject string
	Lines   []shipment.Line
}

// OpenAll opens the shipments of confirmed orders, many in a statement. It is the answer to facts, which may come twice
// and after a stop: a shipment that is open stays as it is, a tombstone opens stopped.
func (a *Shipping) OpenAll(tx sqlstore.Tx, confirmed []Confirmation) error {
	r := rows{tx, a.Shop}
	for some := range slices.Chunk(confirmed, rowsMax) {
		if err := a.openSome(r, some); err != nil {
			return err
		}
	}
	return nil
}

func (a *Shipping) openSome(r rows, confirmed []Confirmation) error {
	known, err := r.selectSome(confirmed)
	if err != nil {
		return err
	}
	now := a.now()
	fresh := make([]*shipment.Shipment, 0, len(confirmed))
	for _, c := range confirmed {
		stored := known[c.Order]
		s := stored
		if s == nil {
			s = &shipment.Shipment{Order: c.Order}
		}
		news, err := s.Open(c.Subject, c.Lines, now)
		switch {
		case err != nil:
			return err
		case !news:
			continue
		case stored == nil:
			fresh = append(fresh, s)
			known[c.Order] = s
		default:
			if err := r.save(s); err != nil {
				return err
			}
		}
		r.AfterCommit(func() { a.waiters.wake(c.Order) })
	}
	if err := r.insertAll(fresh); err != nil {
		return fmt.Errorf("open %d shipments: %w", len(fresh), err)
	}
	return nil
}
