package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// HoldCommand asks for all lines of an order.
type HoldCommand struct {
	Order    string
	Run      string
	Lines    []stock.Line
	Deadline time.Time // zero: HoldDefault from now
}

// Hold promises all lines, or refuses with sold_out. Heard again for the same order and run it answers as the first
// time; once the run was released, before or after, it is refused with canceled.
func (inv *Inventory) Hold(ctx context.Context, c HoldCommand, meta eventlog.Meta) (pieces []stock.Piece, err error) {
	if err := checkHold(c); err != nil {
		return nil, err
	}
	now := inv.Clock.Now()
	if c.Deadline.IsZero() {
		c.Deadline = now.Add(HoldDefault)
	}
	err = inv.update(ctx, func(r rows) error {
		pieces, err = inv.hold(r, c, now, meta)
		return err
	})
	return pieces, err
}

func (inv *Inventory) hold(r rows, c HoldCommand, now time.Time, meta eventlog.Meta) ([]stock.Piece, error) {
	h := stock.Hold{Order: c.Order, Run: c.Run, State: stock.Held, At: now, Deadline: c.Deadline}
	if fresh, err := r.insertHold(h); err != nil {
		return nil, err
	} else if !fresh {
		return r.heldBefore(c.Order, c.Run)
	}
	shelf, err := r.loadLines(c.Lines)
	if err != nil {
		return nil, err
	}
	if h.Pieces, err = shelf.Hold(c.Lines); err != nil {
		return nil, err // the hold's row is undone with all the rest
	}
	if err := r.insertPieces(h); err != nil {
		return nil, err
	}
	r.AfterCommit(func() { inv.watch.expect(h.Deadline) })
	return h.Pieces, inv.change(r, shelf, h.Order, CauseHeld, h.Order, meta)
}

func (r rows) heldBefore(order, run string) ([]stock.Piece, error) {
	holds, err := r.selectHolds(order)
	if err != nil {
		return nil, err
	}
	return find(holds, order, run).Again()
}

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
	shelf.Release(h.State, h.Pieces)
	if err := r.updateState(h, stock.Released); err != nil {
		return "", err
	}
	return outcome, inv.change(r, shelf, order, CauseReleased, order, meta)
}

func find(holds []stock.Hold, order, run string) stock.Hold {
	for _, h := range holds {
		if h.Run == run {
			return h
		}
	}
	return stock.Hold{Order: order, Run: run, State: stock.Canceled}
}

func count(pieces []stock.Piece) (n int) {
	for _, p := range pieces {
		n += p.Quantity
	}
	return n
}

func owed(pieces []stock.Piece) (n int) {
	for _, p := range pieces {
		n += p.Backordered
	}
	return n
}

func checkHold(c HoldCommand) error {
	if err := checkOrder(c.Order, c.Run); err != nil {
		return err
	}
	if c.Run == stock.ConfirmedRun {
		return problem.Field("run_id", "reserved", "this name belongs to confirmations")
	}
	return CheckLines(c.Lines)
}

// CheckLines refuses lines that no stock can answer, naming the field.
func CheckLines(lines []stock.Line) error {
	if len(lines) == 0 || len(lines) > LinesMax {
		return problem.Field("lines", "out_of_range", fmt.Sprintf("send 1 to %d lines", LinesMax))
	}
	for i, line := range lines {
		if err := checkSKU(at("lines", i, "sku"), line.SKU); err != nil {
			return err
		}
		if line.Quantity < 1 || line.Quantity > stock.PiecesMax {
			return problem.Field(at("lines", i, "quantity"), "out_of_range", fmt.Sprintf("must be 1 to %d", stock.PiecesMax))
		}
	}
	return nil
}

// at is the path of a field in a list: lines[0].sku.
func at(list string, i int, field string) string {
	return list + "[" + strconv.Itoa(i) + "]." + field
}
