package app

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// rows is one transaction on the rows of one shop.
type rows struct {
	sqlstore.Tx
	shop   string
	memory *memory
}

// rowsMax bounds the rows of one statement; longer lists take several. It is a power of two.
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

// loadShelf loads SKUs with their levels in the order in which locations give; a SKU may be named more than once.
func (r rows) loadShelf(skus []string) (*stock.Shelf, error) {
	shelf := stock.NewShelf(len(skus))
	return shelf, r.load(shelf, skus)
}

// load adds SKUs to a shelf, from memory where they are there.
func (r rows) load(shelf *stock.Shelf, skus []string) error {
	remembers := r.memory.ready(r.Tx)
	var unknown []any
	for _, sku := range skus {
		if shelf.Has(sku) {
			continue
		}
		if remembers {
			if item := r.memory.recall(sku); item != nil {
				shelf.Put(item)
				continue
			}
		}
		shelf.Item(sku)
		unknown = append(unknown, sku)
	}
	for some := range slices.Chunk(unknown, rowsMax) {
		if err := r.read(shelf, some); err != nil {
			return fmt.Errorf("load %d skus: %w", len(unknown), err)
		}
	}
	return nil
}

func (r rows) read(shelf *stock.Shelf, skus []any) error {
	found, err := r.Query(`SELECT s.sku, s.backorder, s.backorder_limit, s.revision, COALESCE(l.location_id, ''),
		COALESCE(l.on_hand, 0), COALESCE(l.held, 0), COALESCE(l.allocated, 0), COALESCE(l.known, 0), COALESCE(l.revision, 0)
		FROM skus s LEFT JOIN levels l ON l.shop = s.shop AND l.sku = s.sku
		LEFT JOIN locations p ON p.shop = l.shop AND p.id = l.location_id
		WHERE s.shop = ? AND s.sku IN (`+some(skus)+`) ORDER BY s.sku, p.priority, l.location_id`, padded(skus, r.shop)...)
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
	var revision, ofLevel int64
	var level stock.Level
	if err := found.Scan(&sku, &policy.Backorder, &policy.Limit, &revision,
		&level.Location, &level.OnHand, &level.Held, &level.Allocated, &level.Known, &ofLevel); err != nil {
		return err
	}
	item := shelf.Item(sku)
	item.Policy, item.Listed, item.Revision = policy, true, max(item.Revision, revision, ofLevel)
	if level.Location != "" {
		item.Levels = append(item.Levels, level)
	}
	return nil
}

// saveShelf writes the levels that changed, and the SKUs that are new or have another policy. It comes last: what was on
// the shelf is remembered, and the shelf is empty.
func (r rows) saveShelf(shelf *stock.Shelf) error {
	shop := any(r.shop)
	var skus, levels []any
	for _, item := range shelf.Items() {
		sku, wrote := any(item.SKU), len(levels)
		for k := range item.Levels {
			if l := &item.Levels[k]; l.Changed() {
				levels = append(levels, shop, sku, l.Location, l.OnHand, l.Held, l.Allocated, flag(l.Known), item.Revision)
			}
		}
		if item.Policed() || !item.Listed && len(levels) > wrote {
			item.Listed = true
			skus = append(skus, shop, sku, flag(item.Policy.Backorder), item.Policy.Limit, item.Revision)
		}
	}
	if err := r.insert(insertSKU, skus); err != nil {
		return fmt.Errorf("save skus: %w", err)
	}
	if err := r.insert(insertLevel, levels); err != nil {
		return fmt.Errorf("save levels: %w", err)
	}
	if r.memory.ready(r.Tx) {
		r.memory.keep(shelf)
	}
	return nil
}

var (
	insertSKU = newInsert(`skus (shop, sku, backorder, backorder_limit, revision)`, `(shop, sku) DO UPDATE SET
		backorder = excluded.backorder, backorder_limit = excluded.backorder_limit, revision = excluded.revision`)
	insertLevel = newInsert(`levels (shop, sku, location_id, on_hand, held, allocated, known, revision)`, `(shop, sku, location_id) DO UPDATE SET
		on_hand = excluded.on_hand, held = excluded.held, allocated = excluded.allocated, known = excluded.known, revision = excluded.revision`)
)

// insert is a statement for 1, 2, 4 … rowsMax rows: so there are few to prepare, however many rows come.
type insert struct {
	width int
	texts []string // by the logarithm of the rows
}

// newInsert makes the statement for a table with its columns, and what to do on a conflict, if anything.
func newInsert(table, conflict string) *insert {
	in := &insert{width: 1 + strings.Count(table, ",")}
	if conflict != "" {
		conflict = " ON CONFLICT " + conflict
	}
	row := "(" + tuples(in.width, "?") + ")"
	for n := 1; n <= rowsMax; n *= 2 {
		in.texts = append(in.texts, "INSERT INTO "+table+" VALUES "+tuples(n, row)+conflict)
	}
	return in
}

// insert writes rows, given value by value.
func (r rows) insert(in *insert, values []any) error {
	for len(values) > 0 {
		size := bits.Len(uint(min(rowsMax, len(values)/in.width))) - 1
		n := in.width << size
		if err := r.Do(in.texts[size], values[:n]...); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// some is the placeholders of a list whose length is made a power of two, for the same reason; padded are its values,
// after those that come first.
func some(list []any) string { return tuples(padding(len(list)), "?") }

func padded(list []any, first ...any) []any {
	all := append(first, list...)
	for range padding(len(list)) - len(list) {
		all = append(all, list[len(list)-1]) // one that is named twice is found once
	}
	return all
}

// padding is the power of two that holds n.
func padding(n int) int { return 1 << bits.Len(uint(n-1)) }

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
	found, err := r.Query(figureColumns+`skus s LEFT JOIN levels l ON l.shop = s.shop AND l.sku = s.sku WHERE s.shop = ?`+byFigure, r.shop)
	if err != nil {
		return nil, err
	}
	return scanFigures(found)
}

const (
	figureColumns = `SELECT s.sku, s.backorder, s.backorder_limit, s.revision,
		COALESCE(SUM(l.on_hand - l.held - l.allocated), 0), COALESCE(MAX(l.revision), 0) FROM `
	byFigure = ` GROUP BY s.sku, s.backorder, s.backorder_limit, s.revision`
)

// scanFigures reads the rows of figureColumns and closes them.
func scanFigures(found *sqlstore.Rows) ([]stock.Figure, error) {
	defer found.Close()
	var all []stock.Figure
	for found.Next() {
		var f stock.Figure
		var ofLevels int64
		if err := found.Scan(&f.SKU, &f.Policy.Backorder, &f.Policy.Limit, &f.Revision, &f.Available, &ofLevels); err != nil {
			return nil, err
		}
		f.Revision = max(f.Revision, ofLevels)
		all = append(all, f)
	}
	return all, found.Err()
}
