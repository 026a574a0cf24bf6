package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/inventory/stock"
)

// FindingsMax bounds the broken rules that one report lists.
const FindingsMax = 1_000

// The guarantees that these rules belong to, by their numbers.
const (
	stockGuarantee = 2
	viewGuarantee  = 7
)

// Finding is one broken rule.
type Finding struct {
	Guarantee int
	Rule      string
	Subject   string
	Message   string
}

// Report is what was found wrong with the room's own rows, all read in one snapshot.
type Report struct {
	Findings  []Finding
	Checked   int
	Truncated bool
	Head      int64
}

// rule is a query for the rows that break it: a subject, its second name or "", what is there and what should be.
type rule struct{ name, query, message string }

// The parts that several rules share.
const (
	available = `(SELECT shop, sku, SUM(on_hand - held - allocated) AS pieces FROM levels GROUP BY shop, sku)`
	ofHold    = ` JOIN order_holds h ON h.order_id = l.order_id AND h.run_id = l.run_id `
)

// The rules of guarantee 2, row by row.
var rules = []rule{
	{
		"on_hand_is_sum_of_movements", `SELECT l.sku, l.location_id, l.on_hand, COALESCE(m.total, 0) FROM levels l
		LEFT JOIN (SELECT shop, sku, location_id, SUM(delta) AS total FROM movements GROUP BY shop, sku, location_id) m
		ON m.shop = l.shop AND m.sku = l.sku AND m.location_id = l.location_id WHERE l.on_hand <> COALESCE(m.total, 0)`,
		"%d on hand, the movements sum to %d",
	},
	{
		"movement_has_level", `SELECT m.sku, m.location_id, 0, SUM(m.delta) FROM movements m
		LEFT JOIN levels l ON l.shop = m.shop AND l.sku = m.sku AND l.location_id = m.location_id
		WHERE l.sku IS NULL GROUP BY m.shop, m.sku, m.location_id`,
		"no level (%d on hand), the movements sum to %d",
	},
	{"held_is_sum_of_hold_lines", promised("held"), "%d held, the orders' lines sum to %d"},
	{"allocated_is_sum_of_hold_lines", promised("allocated"), "%d allocated, the orders' lines sum to %d"},
	{
		"hold_line_has_level", `SELECT h.order_id, h.sku, 0, SUM(h.quantity) FROM hold_lines h
		LEFT JOIN levels l ON l.shop = h.shop AND l.sku = h.sku AND l.location_id = h.location_id
		WHERE l.sku IS NULL GROUP BY h.order_id, h.sku`,
		"no level (%d pieces), the order's line has %d",
	},
	{
		"level_has_sku", `SELECT l.sku, l.location_id, 0, l.on_hand FROM levels l
		LEFT JOIN skus s ON s.shop = l.shop AND s.sku = l.sku WHERE s.sku IS NULL`,
		"no SKU row (%d), its level has %d on hand",
	},
	{
		"hold_line_has_owner", `SELECT l.order_id, l.sku, 0, SUM(l.quantity) FROM hold_lines l LEFT` + ofHold + `
		WHERE h.order_id IS NULL OR h.state = 'canceled' GROUP BY l.order_id, l.sku`,
		"no hold (%d), its line has %d pieces",
	},
	{
		"hold_has_lines", `SELECT h.order_id, h.run_id, 0, 1 FROM order_holds h
		LEFT JOIN hold_lines l ON l.order_id = h.order_id AND l.run_id = h.run_id
		WHERE h.state <> 'canceled' AND l.order_id IS NULL`,
		"a hold with %d lines, at least %d expected",
	},
	{
		"available_below_zero_is_explained", `SELECT f.sku, '', f.pieces, -(COALESCE(b.owed, 0) + COALESCE(m.short, 0)) FROM ` + available + ` f
		LEFT JOIN (SELECT l.shop, l.sku, SUM(l.backordered) AS owed FROM hold_lines l` + ofHold + `
			WHERE h.state IN ('held', 'allocated') GROUP BY l.shop, l.sku) b ON b.shop = f.shop AND b.sku = f.sku
		LEFT JOIN (SELECT shop, sku, SUM(short) AS short FROM movements GROUP BY shop, sku) m ON m.shop = f.shop AND m.sku = f.sku
		WHERE f.pieces < 0 AND -f.pieces > COALESCE(b.owed, 0) + COALESCE(m.short, 0)`,
		"%d available; backorders, counts and write-offs explain %d",
	},
	{
		"confirmed_order_is_not_short", `SELECT l.order_id, l.sku, f.pieces, l.backordered FROM hold_lines l` + ofHold + `
		JOIN skus s ON s.shop = l.shop AND s.sku = l.sku
		JOIN ` + available + ` f ON f.shop = l.shop AND f.sku = l.sku
		WHERE h.run_id = '` + stock.ConfirmedRun + `' AND h.state = 'allocated' AND l.backordered > 0 AND s.backorder = 0 AND f.pieces < 0`,
		"shortfall: %d available; the order was confirmed when it held too little, and is owed %d",
	},
}

// promised is the rule that a level's column is the sum of the lines of holds in that state.
func promised(state string) string {
	return `SELECT l.sku, l.location_id, l.` + state + `, COALESCE(p.total, 0) FROM levels l
		LEFT JOIN (SELECT l.shop, l.sku, l.location_id, SUM(l.quantity) AS total FROM hold_lines l` + ofHold + `
			WHERE h.state = '` + state + `' GROUP BY l.shop, l.sku, l.location_id) p
		ON p.shop = l.shop AND p.sku = l.sku AND p.location_id = l.location_id WHERE l.` + state + ` <> COALESCE(p.total, 0)`
}

// Findings checks every row against the words of stock.
func (inv *Inventory) Findings(ctx context.Context) (report Report, err error) {
	err = inv.view(ctx, func(r rows) error {
		report = Report{Head: inv.Log.Head()}
		if err := report.countRows(r); err != nil {
			return err
		}
		for _, rule := range rules {
			if err := report.check(r, rule); err != nil {
				return fmt.Errorf("check %s: %w", rule.name, err)
			}
		}
		return inv.checkMemory(r, &report)
	})
	return report, err
}

func (r *Report) countRows(tx rows) error {
	return tx.QueryRow(`SELECT (SELECT COUNT(*) FROM levels) + (SELECT COUNT(*) FROM movements) +
		(SELECT COUNT(*) FROM order_holds) + (SELECT COUNT(*) FROM hold_lines) + (SELECT COUNT(*) FROM skus)`).Scan(&r.Checked)
}

func (r *Report) check(tx rows, rule rule) error {
	found, err := tx.Query(rule.query)
	if err != nil {
		return err
	}
	defer found.Close()
	for found.Next() && !r.Truncated {
		var subject, second string
		var is, should int64
		if err := found.Scan(&subject, &second, &is, &should); err != nil {
			return err
		}
		if second != "" {
			subject += " " + second
		}
		r.add(Finding{stockGuarantee, rule.name, subject, fmt.Sprintf(rule.message, is, should)})
	}
	return found.Err()
}

// checkMemory compares the figures that availability answers from with the rows of the same revision.
func (inv *Inventory) checkMemory(r rows, report *Report) error {
	all, err := r.allFigures()
	if err != nil {
		return err
	}
	for _, row := range all {
		told := inv.figures.of([]string{row.SKU})[0]
		if told.Revision == row.Revision && told != row {
			report.add(Finding{
				viewGuarantee, "availability_is_the_rows", row.SKU,
				fmt.Sprintf("%d available is told, the rows say %d", told.Available, row.Available),
			})
		}
	}
	return nil
}

func (r *Report) add(f Finding) {
	if len(r.Findings) >= FindingsMax {
		r.Truncated = true
		return
	}
	r.Findings = append(r.Findings, f)
}

// Holds lists holds and allocations by order, after the hold that the token names; all but released ones when state is "".
func (inv *Inventory) Holds(ctx context.Context, state stock.State, size int, after string) (page []stock.Hold, next string, err error) {
	if size, err = pageSize(size, HoldsDefault, HoldsMax); err != nil {
		return nil, "", err
	}
	if state != "" && state != stock.Released && !state.Live() {
		return nil, "", problem.Field("state", "invalid", `must be "held", "allocated", "released" or "shipped"`)
	}
	from, err := parseHoldToken(after)
	if err != nil {
		return nil, "", err
	}
	err = inv.view(ctx, func(r rows) error {
		page, err = r.selectHoldPage(state, size+1, from)
		return err
	})
	if len(page) > size {
		page = page[:size]
		next = page[size-1].Order + "~" + page[size-1].Run
	}
	return page, next, err
}
