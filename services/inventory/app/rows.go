package app

import (
	"fmt"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// rows is one transaction on the rows of one shop.
type rows struct {
	sqlstore.Tx
	shop string
}

// rowsMax bounds the rows of one statement; longer lists take several.
const rowsMax = 64

// loadLines loads the SKUs of lines.
func (r rows) loadLines(lines []stock.Line) (*stock.Shelf, error) {
	skus := make([]string, len(lines))
	for i := range lines {
		skus[i] = lines[i].SKU
	}
	return r.loadShelf(skus)
}

// loadPieces loads the SKUs of pieces.
func (r rows) loadPieces(pieces []stock.Piece) (*stock.Shelf, error) {
	skus := make([]string, len(pieces))
	for i := range pieces {
		skus[i] = pieces[i].SKU
	}
	return r.loadShelf(skus)
}

// loadHolds loads the SKUs of an order's holds and of the lines that it should hold.
func (r rows) loadHolds(holds []stock.Hold, lines []stock.Line) (*stock.Shelf, error) {
	var skus []string
	for _, h := range holds {
		for _, p := range h.Pieces {
			skus = append(skus, p.SKU)
		}
	}
	for _, line := range lines {
		skus = append(skus, line.SKU)
	}
	return r.loadShelf(skus)
}

// loadShelf loads SKUs with their levels in the order in which locations give; a SKU may be named more than once.
func (r rows) loadShelf(skus []string) (*stock.Shelf, error) {
	shelf := stock.NewShelf(len(skus))
	for from := 0; from < len(skus); from += rowsMax {
		if err := r.loadSome(shelf, skus[from:min(from+rowsMax, len(skus))]); err != nil {
			return nil, fmt.Errorf("load %d skus: %w", len(skus), err)
		}
	}
	return shelf, nil
}

func (r rows) loadSome(shelf *stock.Shelf, skus []string) error {
	args := make([]any, 1, 1+len(skus))
	args[0] = r.shop
	for _, sku := range skus {
		item := shelf.Item(sku)
		item.Levels = item.Levels[:0] // a SKU that an earlier statement has read is read again
		args = append(args, sku)
	}
	found, err := r.Query(`SELECT s.sku, s.backorder, s.backorder_limit, s.revision,
		COALESCE(l.location_id, ''), COALESCE(l.on_hand, 0), COALESCE(l.held, 0), COALESCE(l.allocated, 0), COALESCE(l.known, 0)
		FROM skus s LEFT JOIN levels l ON l.shop = s.shop AND l.sku = s.sku
		LEFT JOIN locations p ON p.shop = l.shop AND p.id = l.location_id
		WHERE s.shop = ? AND s.sku IN (`+tuples(len(skus), "?")+`) ORDER BY s.sku, p.priority, l.location_id`, args...)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() {
		if err := scanLevel(found, shelf); err != nil {
			return err
		}
	}
	return found.Err()
}

func scanLevel(found *sqlstore.Rows, shelf *stock.Shelf) error {
	var sku string
	var policy stock.Policy
	var revision int64
	var level stock.Level
	if err := found.Scan(&sku, &policy.Backorder, &policy.Limit, &revision,
		&level.Location, &level.OnHand, &level.Held, &level.Allocated, &level.Known); err != nil {
		return err
	}
	item := shelf.Item(sku)
	item.Policy, item.Revision = policy, revision
	if level.Location != "" {
		item.Levels = append(item.Levels, level)
	}
	return nil
}

// saveShelf writes the levels that changed, and the SKUs that have a new figure.
func (r rows) saveShelf(shelf *stock.Shelf) error {
	var skus, levels []any
	for _, item := range shelf.Items() {
		wrote := len(levels)
		for k := range item.Levels {
			if l := &item.Levels[k]; l.Changed() {
				levels = append(levels, r.shop, item.SKU, l.Location, l.OnHand, l.Held, l.Allocated, flag(l.Known))
			}
		}
		if item.Changed() || item.Revision == 0 && len(levels) > wrote { // nothing of it was stored before
			skus = append(skus, r.shop, item.SKU, flag(item.Policy.Backorder), item.Policy.Limit, item.Revision)
		}
	}
	if err := r.insertRows(`INSERT INTO skus (shop, sku, backorder, backorder_limit, revision) VALUES `, 5, skus,
		` ON CONFLICT (shop, sku) DO UPDATE SET backorder = excluded.backorder, backorder_limit = excluded.backorder_limit, revision = excluded.revision`); err != nil {
		return fmt.Errorf("save skus: %w", err)
	}
	if err := r.insertRows(`INSERT INTO levels (shop, sku, location_id, on_hand, held, allocated, known) VALUES `, 7, levels,
		` ON CONFLICT (shop, sku, location_id) DO UPDATE SET on_hand = excluded.on_hand, held = excluded.held, allocated = excluded.allocated, known = excluded.known`); err != nil {
		return fmt.Errorf("save levels: %w", err)
	}
	return nil
}

// insertRows writes rows of the given width, at most rowsMax in a statement.
func (r rows) insertRows(insert string, width int, values []any, conflict string) error {
	row := "(" + tuples(width, "?") + ")"
	for len(values) > 0 {
		n := min(rowsMax, len(values)/width)
		if _, err := r.Exec(insert+tuples(n, row)+conflict, values[:n*width]...); err != nil {
			return err
		}
		values = values[n*width:]
	}
	return nil
}

// tuples is n times what, with commas between.
func tuples(n int, what string) string {
	return strings.Repeat(what+",", n-1) + what
}

func flag(is bool) int {
	if is {
		return 1
	}
	return 0
}

// allFigures reads every SKU's figure.
func (r rows) allFigures() ([]stock.Figure, error) {
	found, err := r.Query(`SELECT s.sku, s.backorder, s.backorder_limit, s.revision,
		COALESCE(SUM(l.on_hand - l.held - l.allocated), 0)
		FROM skus s LEFT JOIN levels l ON l.shop = s.shop AND l.sku = s.sku
		WHERE s.shop = ? GROUP BY s.sku, s.backorder, s.backorder_limit, s.revision`, r.shop)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []stock.Figure
	for found.Next() {
		var f stock.Figure
		if err := found.Scan(&f.SKU, &f.Policy.Backorder, &f.Policy.Limit, &f.Revision, &f.Available); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, found.Err()
}
