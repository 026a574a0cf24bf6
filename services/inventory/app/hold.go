package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/id"
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

// hold lets the heart decide before anything is written, so that a refusal undoes nothing of those who share the commit.
func (inv *Inventory) hold(r rows, c HoldCommand, now time.Time, meta eventlog.Meta) ([]stock.Piece, error) {
	shelf, err := r.loadLines(c.Lines)
	if err != nil {
		return nil, err
	}
	pieces, refusal := shelf.Hold(c.Lines)
	if refusal != nil {
		return r.refuse(c, refusal)
	}
	h := stock.Hold{Order: c.Order, Run: c.Run, State: stock.Held, At: now, Deadline: c.Deadline}
	if fresh, err := r.insertHold(h); err != nil {
		return nil, err
	} else if !fresh {
		return r.heldBefore(c.Order, c.Run)
	}
	if err := r.insertPieces(&h, pieces); err != nil {
		return nil, err
	}
	r.AfterCommit(func() { inv.watch.expect(h.Deadline) })
	return pieces, inv.change(r, shelf, h.Order, CauseHeld, h.Order, meta)
}

// refuse tells a run that cannot hold why, unless it does already: then it is answered as the first time.
func (r rows) refuse(c HoldCommand, refusal error) ([]stock.Piece, error) {
	holds, err := r.selectHolds(c.Order)
	if err != nil {
		return nil, err
	}
	if h := find(holds, c.Order, c.Run); h != nil {
		return h.Again()
	}
	return nil, refusal
}

func (r rows) heldBefore(order, run string) ([]stock.Piece, error) {
	holds, err := r.selectHolds(order)
	if err != nil {
		return nil, err
	}
	return find(holds, order, run).Again()
}

// find is the hold of a run, nil if there is none.
func find(holds []stock.Hold, order, run string) *stock.Hold {
	for i := range holds {
		if holds[i].Run == run {
			return &holds[i]
		}
	}
	return nil
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
		if !id.Valid(line.SKU) {
			return checkSKU(at("lines", i, "sku"), line.SKU)
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
