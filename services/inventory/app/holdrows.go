package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-21071466/souk/kit/id"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// insertHold claims (order, run) and reports whether nobody had before.
func (r rows) insertHold(h stock.Hold) (fresh bool, err error) {
	n, err := r.Exec(`INSERT INTO order_holds (shop, order_id, run_id, state, held_at, deadline, reported)
		VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (order_id, run_id) DO NOTHING`,
		r.shop, h.Order, h.Run, string(h.State), h.At, h.Deadline)
	if err != nil {
		return false, fmt.Errorf("record hold of order %s: %w", h.Order, err)
	}
	return n == 1, nil
}

// insertPieces writes the lines of a hold, or how much of those that are there is gone.
func (r rows) insertPieces(h *stock.Hold, pieces []stock.Piece) error {
	values := make([]any, 0, 8*len(pieces))
	shop, order, run := any(r.shop), any(h.Order), any(h.Run)
	for _, p := range pieces {
		values = append(values, shop, order, run, p.SKU, p.Location, p.Quantity, p.Backordered, p.Gone)
	}
	if err := r.insert(insertPiece, values); err != nil {
		return fmt.Errorf("record lines of order %s: %w", h.Order, err)
	}
	return nil
}

var insertPiece = newInsert(`hold_lines (shop, order_id, run_id, sku, location_id, quantity, backordered, gone)`,
	`(order_id, run_id, sku, location_id) DO UPDATE SET gone = excluded.gone`)

// updateStates moves holds to a state together.
func (r rows) updateStates(to stock.State, holds []*stock.Hold) error {
	for some := range slices.Chunk(holds, rowsMax) {
		values := []any{string(to)}
		for i := range padding(len(some)) {
			h := some[min(i, len(some)-1)]
			values = append(values, h.Order, h.Run)
		}
		if err := r.Do(`UPDATE order_holds SET state = ? WHERE (order_id, run_id) IN (VALUES `+
			tuples(padding(len(some)), "(?,?)")+`)`, values...); err != nil {
			return fmt.Errorf("make %d holds %s: %w", len(holds), to, err)
		}
	}
	return nil
}

const (
	lineColumns = `COALESCE(l.sku, ''), COALESCE(l.location_id, ''), COALESCE(l.quantity, 0), COALESCE(l.backordered, 0), COALESCE(l.gone, 0)`
	holdColumns = `SELECT h.order_id, h.run_id, h.state, h.held_at, h.deadline, ` + lineColumns + `
	FROM order_holds h LEFT JOIN hold_lines l ON l.order_id = h.order_id AND l.run_id = h.run_id `
	byHold = ` ORDER BY h.order_id, h.run_id, l.sku, l.location_id`
)

// selectHolds reads all runs of an order, with their lines.
func (r rows) selectHolds(order string) ([]stock.Hold, error) {
	found, err := r.Query(holdColumns+`WHERE h.order_id = ?`+byHold, order)
	if err != nil {
		return nil, fmt.Errorf("read holds of order %s: %w", order, err)
	}
	return scanHolds(found)
}

// selectHoldsOf reads all runs of several orders, with their lines.
func (r rows) selectHoldsOf(orders []any) ([]stock.Hold, error) {
	found, err := r.Query(holdColumns+`WHERE h.order_id IN (`+some(orders)+`)`+byHold, padded(orders)...)
	if err != nil {
		return nil, fmt.Errorf("read holds of %d orders: %w", len(orders), err)
	}
	return scanHolds(found)
}

// scanHolds folds the rows of holdColumns, which come in the order of holds, and closes them.
func scanHolds(found *sqlstore.Rows) ([]stock.Hold, error) {
	defer found.Close()
	var holds []stock.Hold
	for found.Next() {
		var h stock.Hold
		var p stock.Piece
		var state string
		if err := found.Scan(&h.Order, &h.Run, &state, &h.At, &h.Deadline,
			&p.SKU, &p.Location, &p.Quantity, &p.Backordered, &p.Gone); err != nil {
			return nil, err
		}
		if last := len(holds) - 1; last < 0 || holds[last].Order != h.Order || holds[last].Run != h.Run {
			h.State = stock.State(state)
			holds = append(holds, h)
		}
		if p.SKU != "" {
			last := &holds[len(holds)-1]
			last.Pieces = append(last.Pieces, p)
		}
	}
	return holds, found.Err()
}

// selectOverdue reads holds whose deadline has passed and was not reported, the oldest first.
func (r rows) selectOverdue(now time.Time, limit int) ([]stock.Hold, error) {
	found, err := r.Query(`SELECT order_id, run_id, deadline FROM order_holds
		WHERE state = 'held' AND reported = 0 AND deadline <= ? ORDER BY deadline LIMIT ?`, now, limit)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var holds []stock.Hold
	for found.Next() {
		var h stock.Hold
		if err := found.Scan(&h.Order, &h.Run, &h.Deadline); err != nil {
			return nil, err
		}
		holds = append(holds, h)
	}
	return holds, found.Err()
}

func (r rows) updateReported(h stock.Hold) error {
	_, err := r.Exec(`UPDATE order_holds SET reported = 1 WHERE order_id = ? AND run_id = ?`, h.Order, h.Run)
	return err
}

// nextDeadline is the earliest deadline that was not reported; none says that there is none.
func (r rows) nextDeadline() (next time.Time, none bool, err error) {
	var micros int64
	err = r.QueryRow(`SELECT COALESCE(MIN(deadline), -1) FROM order_holds WHERE state = 'held' AND reported = 0`).Scan(&micros)
	return time.UnixMicro(micros).UTC(), micros < 0, err
}

// selectHoldPage reads holds in the order of (order, run), after from: those in a state, or all that live when it is "".
// Their lines come in any order, for sorting them costs as much as reading them.
func (r rows) selectHoldPage(state stock.State, limit int, from stock.Hold) ([]stock.Hold, error) {
	found, err := r.Query(`SELECT h.order_id, h.run_id, h.state, h.held_at, h.deadline, `+lineColumns+`
		FROM (SELECT order_id, run_id, state, held_at, deadline FROM order_holds
			WHERE (order_id, run_id) > (?, ?)
			AND ((? = '' AND state IN ('held', 'allocated', 'shipped')) OR state = ?)
			ORDER BY order_id, run_id LIMIT ?) h
		LEFT JOIN hold_lines l ON l.order_id = h.order_id AND l.run_id = h.run_id ORDER BY h.order_id, h.run_id`,
		from.Order, from.Run, string(state), string(state), limit)
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return scanHolds(found)
}

// parseHoldToken reads "order~run", the last hold of the page before.
func parseHoldToken(token string) (stock.Hold, error) {
	if token == "" {
		return stock.Hold{}, nil
	}
	order, run, ok := strings.Cut(token, "~")
	if !ok || !id.Valid(order) || !id.Valid(run) {
		return stock.Hold{}, badToken()
	}
	return stock.Hold{Order: order, Run: run}, nil
}
