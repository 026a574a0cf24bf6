package app

import (
	"context"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// Release ends a hold or an allocation. One that finds none leaves a tombstone, which refuses a hold that comes later.
func (inv *Inventory) Release(ctx context.Context, order, run string, meta eventlog.Meta) (outcome stock.Outcome, err error) {
	if err := checkOrder(order, run); err != nil {
		return "", err
	}
	err = inv.update(ctx, func(r rows) error {
		outcome, err = inv.release(r, order, run, meta)
		return err
	})
	return outcome, err
}

func (inv *Inventory) release(r rows, order, run string, meta eventlog.Meta) (stock.Outcome, error) {
	now := inv.Clock.Now()
	tombstone := stock.Hold{Order: order, Run: run, State: stock.Canceled, At: now, Deadline: now}
	if fresh, err := r.insertHold(tombstone); err != nil || fresh {
		return stock.WasNothing, err
	}
	holds, err := r.selectHolds(order)
	if err != nil {
		return "", err
	}
	h := find(holds, order, run)
	outcome, err := h.Undo()
	if err != nil || outcome != stock.WasReleased {
		return outcome, err
	}
	shelf, err := r.loadPieces(h.Pieces)
	if err != nil {
		return "", err
	}
	shelf.Release(h)
	if err := r.updateStates(h.State, []*stock.Hold{h}); err != nil {
		return "", err
	}
	return outcome, inv.change(r, shelf, order, CauseReleased, order, meta)
}

// ReleaseCommand gives named pieces of an order back.
type ReleaseCommand struct {
	Order string
	ID    string // of this release, within the order
	Lines []stock.Line
}

func (c ReleaseCommand) check() error {
	if !id.Valid(c.Order) {
		return problem.Field("order_id", "invalid", "name the order")
	}
	if !id.Valid(c.ID) {
		return problem.Field("release_id", "invalid", "name the release")
	}
	return CheckLines(c.Lines)
}

// ReleaseLines gives pieces back that a confirmed order was promised and will not get, once for a release's name. It does
// not matter whether the confirmation was heard: if it comes later it does not promise these pieces.
func (inv *Inventory) ReleaseLines(ctx context.Context, c ReleaseCommand, meta eventlog.Meta) (outcome stock.Outcome, err error) {
	if err := c.check(); err != nil {
		return "", err
	}
	err = inv.update(ctx, func(r rows) error {
		outcome, err = inv.releaseLines(r, c, meta)
		return err
	})
	return outcome, err
}

func (inv *Inventory) releaseLines(r rows, c ReleaseCommand, meta eventlog.Meta) (stock.Outcome, error) {
	released := []ReleaseCommand{c}
	fresh, err := hear(r, factReleased, released, func(c ReleaseCommand) fact { return fact{c.Order, c.ID} })
	if err != nil {
		return "", err
	}
	if len(fresh) == 0 {
		return stock.AlreadyReleased, nil
	}
	d, err := begin(inv, r.Tx, released, func(c ReleaseCommand) string { return c.Order })
	if err != nil {
		return "", err
	}
	o := d.orders[c.Order]
	if err := d.recall(o); err != nil {
		return "", err
	}
	if err := r.insertGivenUp(c.Order, c.ID, c.Lines); err != nil {
		return "", err
	}
	d.shelf.GiveUp(o, c.Lines)
	if err := d.tell(o, CauseReleased, meta); err != nil {
		return "", err
	}
	return stock.WasReleased, d.end()
}
